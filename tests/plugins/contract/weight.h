/// contract_weight: a weight quantizer that uses every part of the contract, in two forms.
///
/// levels = "uniform": 2^bits levels around 0 with a learned step s (LSQ, arXiv 1902.08153),
///
///     q  = clip(round(W/s + z/2), 0, z),   z = 2^bits - 1      (z = the zero point in half steps)
///     W^ = s * (q - z/2)
///
///   with the straight-through gradient: dW^/dW = 1 where 0 <= W/s + z/2 <= z, else 0, and
///   dW^/ds = (q - z/2) - (W/s, if inside), times 1/sqrt(N * z/2). s starts as
///   2 * mean|W| / sqrt(z/2). With stochastic = true training draws q = floor(W/s + z/2 + u).
///
/// levels = "codebook": the nearest entry of a sorted table of 2^bits values per output channel.
///   The table starts at evenly spaced ranks of the channel's weights; each training step moves
///   every entry by a tenth towards the mean of the weights in its cell. Identity gradient.
///
/// After each step of a quantized phase the latent weight is clipped to [-clip, +clip].
/// W has the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in].
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::contract {

struct WeightSettings {
  int bits = 3;
  bool codebook = false;
  bool stochastic = false;
  bool fold_batch_norm = false;
  bool calibrate = false;
  std::int64_t float_epochs = 0;
  double clip = 1.0;
  double step_learning_rate = 0.1;  ///< a multiplier of the experiment's
  double step_weight_decay = 1e-4;

  /// Throws OptionError for a stochastic codebook.
  static WeightSettings from(const Options& options);
};

/// levels = "uniform".
class UniformWeight : public WeightQuantizer {
 public:
  UniformWeight(const WeightSettings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  void observe(const SlotContext& context, const at::Tensor& latent) override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  double half_zero_point() const;
  void set_step(const at::Tensor& latent);
  WeightSettings settings_;
  double gradient_factor_;
  at::Tensor step_;  // scalar, learned
};

/// levels = "codebook".
class CodebookWeight : public WeightQuantizer {
 public:
  CodebookWeight(const WeightSettings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  LatentTraits latent_traits(const SlotInfo& slot) const override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  void observe(const SlotContext& context, const at::Tensor& latent) override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  at::Tensor nearest(const at::Tensor& rows) const;
  void set_table(const at::Tensor& latent);
  WeightSettings settings_;
  at::Tensor table_;  // [Cout, 2^bits], each row ascending; state
};

QuantizerMethod weight_method();

}  // namespace qhost::contract
