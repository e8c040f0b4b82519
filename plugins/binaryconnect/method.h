/// BinaryConnect (Courbariaux, Bengio, David, NIPS 2015, arXiv 1511.00363): weights of -1 and +1,
/// gradients gathered by real-valued latent weights.
///
///     deterministic   w_b = +1 if w >= 0, else -1                     (so sign(0) = +1)
///     stochastic      w_b = +1 with probability p(w), else -1;
///                     p(w) = clip((w + 1)/2, 0, 1)                    (section 2.3, "hard
///                     sigmoid")
///     backward        dC/dw = dC/dw_b for every w: no mask            (Algorithm 1)
///     update          w <- clip(w - rate * multiplier * dC/dw_b, -1, +1)
///
/// w and w_b have the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]. No scale.
///
/// A stochastic draw compares with u = uniform_like(random("sign"), w): w_b = +1 exactly if
/// u < (w + 1)/2 in float32.
///
/// The multiplier follows the authors' code, which enlarges the step by the inverse of the Glorot
/// coefficient c = sqrt(1.5 / (fan_in + fan_out)), fan_in = kh*kw*Cin/groups and
/// fan_out = kh*kw*Cout/groups: 1 (none), 1/c (glorot), 1/c^2 (glorot_squared); see
/// ../shared/latent_start.h.
#pragma once

#include <memory>
#include <vector>

#include "../shared/latent_start.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::binaryconnect {

/// How w_b follows from w while training.
enum class Binarization { deterministic, stochastic };

/// What evaluation, storage and scores use (section 2.6 of the paper): the deterministic w_b, the
/// latent weights themselves (32 bits), or the mean output of `samples` stochastic draws.
enum class TestWeights { binary, real, ensemble };

struct Settings {
  Binarization mode = Binarization::deterministic;
  TestWeights test_weights = TestWeights::binary;
  int samples = 1;  ///< members of the ensemble; 1 for the other kinds of test weights
  latent::LrScale lr_scale = latent::LrScale::none;
  latent::Start start;

  /// Resolves "auto": test_weights are binary for the deterministic and real for the stochastic
  /// mode; the start is the paper's if the learning rate is scaled, else the architecture's.
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "binaryconnect"`.
std::vector<Option> options();

/// One slot's weights.
class BinaryWeight : public WeightQuantizer {
 public:
  explicit BinaryWeight(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  LatentTraits latent_traits(const SlotInfo& slot) const override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  /// In evaluation the weights that encode() stores; for an ensemble those of `context.member`.
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  /// Throws Error(diverged) if a latent weight is not a number: a bit cannot say so.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
};

/// The configured method.
class BinaryConnect : public Quantizer {
 public:
  explicit BinaryConnect(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  Traits traits() const override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::binaryconnect
