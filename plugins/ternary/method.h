/// Ternary Weight Networks (Li, Zhang, Liu, EMDNN workshop of NIPS 2016, arXiv 1605.04711): weights
/// of -alpha, 0 and +alpha.
///
/// For a group of n weights W (section 2):
///
///     Delta = factor * (1/n) * sum_i |W_i|               (factor 0.7)
///     T_i   = +1 if W_i > Delta,  -1 if W_i < -Delta,  else 0        (0 at the bounds)
///     alpha = mean of |W_i| over the weights with |W_i| > Delta
///     W~    = alpha * T
///
/// scale_per = "layer" makes one group of all weights of the layer, as the authors' code does;
/// "filter" makes one of each output channel, as much later code does. A group without a weight
/// beyond its threshold has alpha = 0.
///
/// W and W~ have the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]; alpha is a scalar or
/// [Cout]. The sums run in double; Delta and alpha are rounded to float once.
///
/// Gradient: dC/dW = dC/dW~ for every weight, no mask, no factor alpha. The latent weights are not
/// clipped. All layers are ternary by default, the first and the last included: the authors'
/// switch knows no exception.
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::ternary {

struct Settings {
  double factor = 0.7;
  bool per_filter = false;
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "ternary"`.
std::vector<Option> options();

/// T as float32, and alpha: scalar or [Cout].
struct Ternary {
  at::Tensor levels;
  at::Tensor scale;
};
Ternary ternarize(const at::Tensor& weight, const Settings& settings);

/// One slot's weights.
class TernaryWeight : public WeightQuantizer {
 public:
  explicit TernaryWeight(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) if a scale is not finite.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
};

/// The configured method.
class TernaryWeightNetwork : public Quantizer {
 public:
  explicit TernaryWeightNetwork(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::ternary
