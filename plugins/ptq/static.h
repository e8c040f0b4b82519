/// ptq_static: integer weights and inputs with ranges from calibration, the static quantization of
/// PyTorch's torch.ao.quantization (Krishnamoorthi, arXiv 1806.08342; Jacob et al., 1712.05877).
///
/// The formulas are in affine.h, the observers in observers.h.
///
///     weights   symmetric, per output channel or per tensor, from the smallest and largest value
///               of the weight that the batch norm is folded into; codes -2^(b-1) .. 2^(b-1)-1, or
///               from 1-2^(b-1) on (weight_range = "restricted")
///     inputs    affine, codes 0 .. 2^b-1, or symmetric, codes -2^(b-1) .. 2^(b-1)-1 with z = 0
///               (quint8 with zero point 128 has the same values); per tensor; reduce_range takes
///               one bit away
///     biases    float32, with the batch norm's folded in, and with bias_correction = true what
///               rounding the weights took from the mean of each channel (Traits::bias_correction;
///               Nagel et al., 1906.04721, section 4.2), over the calibration's images: for a
///               network that is trained already
///
/// A weight has the shape [Cout, Cin/groups, kh, kw] or [out, in]; an input is [N, C, H, W] or
/// [N, F].
///
/// Where ranges come from: the calibration (the host's, in evaluation mode, without augmentation)
/// and, with observe = "training", each training batch. min_max, histogram and percentile then
/// start anew with each epoch, and moving_average runs on, so that evaluation uses the ranges of
/// the epoch just trained. observe = "calibration" leaves the ranges to calibration alone, which is
/// right for a network that is trained already.
///
/// Training in float (the default) is that of the float network to the bit; training = "quantized"
/// folds the batch norms as evaluation does.
///
/// Gradients (training = "quantized"): 1 where the code does not saturate, else 0; none reaches a
/// range.
///
/// A weight or an input that is 0 throughout has s = 2^-23, as in PyTorch: 0 is exact in any grid,
/// and a layer may be dead.
///
/// Deviations from PyTorch: values that are not finite are errors, where PyTorch leaves infinities
/// out (histogram) or lets them in (the others). search_levels = "bits" has no counterpart:
/// PyTorch's search always places 256 levels, whatever the bits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "affine.h"
#include "observers.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"
#include "training.h"

namespace qhost::ptq {

struct StaticSettings {
  int weight_bits = 8;
  bool weight_per_channel = true;
  bool weight_restricted = false;
  int input_bits = 8;  ///< reduce_range taken off
  bool input_symmetric = false;
  ObserverSettings observer;
  bool observe_training = true;
  Training training = Training::as_float;
  bool fold_batch_norm = true;
  bool bias_correction = false;
  bool joins = true;
  bool pools = true;

  /// Throws OptionError for a histogram that would be searched in each training step, and for
  /// reduce_range with 2 bits.
  static StaticSettings from(const Options& options);
};

class StaticWeight : public WeightQuantizer {
 public:
  explicit StaticWeight(const StaticSettings& settings) : settings_(settings) {}
  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  CodeRange code_range() const;
  AffineParams params(const at::Tensor& latent) const;
  StaticSettings settings_;
};

class StaticInput : public InputQuantizer {
 public:
  explicit StaticInput(const StaticSettings& settings);
  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  /// Throws Error(diverged) for values that are not finite.
  void observe(const SlotContext& context, const at::Tensor& x) override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  /// Throws Error: configuration when nothing was observed, diverged for an input that is not a
  /// number.
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  CodeRange code_range() const;
  AffineParams params(const SlotContext& context, const at::Tensor& like);
  void see(const SlotContext& context, const at::Tensor& x);
  StaticSettings settings_;
  std::unique_ptr<Observer> observer_;
  at::Tensor epoch_;  // scalar: 1 + the epoch that was observed last; 0: the calibration
};

QuantizerMethod static_method();

}  // namespace qhost::ptq
