/// Binary-Weight-Network (Rastegari, Ordonez, Redmon, Farhadi, ECCV 2016, arXiv 1603.05279):
/// each filter is approximated by a scale times a pattern of -1 and +1.
///
/// For a filter W of n = Cin/groups * kh * kw weights (one row of a linear layer, n = in):
///
///     alpha = (1/n) * sum_i |W_i|                   (Eq. 6; one per output channel)
///     B     = sign(W), +1 at 0
///     W~    = alpha * B                             (Algorithm 1)
///
/// W and W~ have the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]; alpha is [Cout].
/// The sum runs in double and alpha is rounded to float once.
///
/// The gradient that reaches W, with G = dC/dW~ and m_i = 1 if |W_i| <= 1, else 0 (the bound is
/// inside). The paper gives two that differ; all are offered:
///
///     algorithm1   G_i                                          Algorithm 1 as printed
///     text         G_i * (1/n + alpha * m_i)                    section 3.1
///     exact        sign(W_i)/n * sum_j G_j sign(W_j) + G_i * alpha * m_i
///                  the derivative of alpha(W) * sign(W) with d sign(r)/dr = 1{|r| <= 1};
///                  j runs over the filter
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::bwn {

enum class Gradient { algorithm1, text, exact };

struct Settings {
  Gradient gradient = Gradient::algorithm1;
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "bwn"`.
std::vector<Option> options();

/// alpha of each filter, [Cout].
at::Tensor filter_scale(const at::Tensor& weight);

/// One slot's weights.
class ScaledBinaryWeight : public WeightQuantizer {
 public:
  explicit ScaledBinaryWeight(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) if a filter's scale is not finite.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
};

/// The configured method.
class BinaryWeightNetwork : public Quantizer {
 public:
  explicit BinaryWeightNetwork(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::bwn
