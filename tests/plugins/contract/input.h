/// contract_input: an input quantizer that uses every part of the contract.
///
///     q  = clip(round(x/s + z/2), 0, 2^bits - 1)
///     x^ = s * (q - z/2)
///
/// with a learned step s, and z = 0 (non-negative inputs) or, with signed_values, 2^bits - 1 (the
/// host then takes the values in front of a ReLU). Gradients as in weight.h.
///
/// With position_scale the inputs of conv2d and linear nodes stay integers and the step moves into
/// a factor of the node's output per position (as XNOR-Net's K, arXiv 1603.05279, Eq. 11):
///
///     x^ = q - z/2,   output_scale = s * (1 + K/m)/2
///     K  = mean |x| over the channels, averaged over the kernel's window, zeros outside the image:
///          [N, 1, Hout, Wout]; for a linear node mean |x| over the features, [N, 1]
///     m  = the running mean of |x|: state, moved by training (a tenth of the way in each step) and
///          by calibration (the plain mean of all batches)
///
/// No gradient passes through K or m. Calibration sets s = 2 * m / sqrt(Q), Q = 2^bits - 1; for
/// signed values, half of that.
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::contract {

struct InputSettings {
  int bits = 4;
  bool signed_values = false;
  bool position_scale = false;
  bool joins = false;  ///< also the inputs of add, concat and pooling nodes
  bool calibrate = false;
  std::int64_t float_epochs = 0;
  double step_learning_rate = 0.1;

  static InputSettings from(const Options& options);
};

class UniformInput : public InputQuantizer {
 public:
  UniformInput(const InputSettings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  InputRange range() const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context) override;
  void observe(const SlotContext& context, const at::Tensor& x) override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  void after_step(const SlotContext& context) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  std::int64_t zero_point() const;
  at::Tensor in_codes(const at::Tensor& x, const at::Tensor& step) const;
  at::Tensor position_scale(const SlotInfo& slot, const at::Tensor& x) const;
  void set_step();
  InputSettings settings_;
  bool per_position_;
  double gradient_factor_;
  at::Tensor step_;       // scalar, learned
  at::Tensor magnitude_;  // scalar: the running mean of |x|
  at::Tensor batches_;    // scalar: the number of batches in calibration
};

QuantizerMethod input_method();

}  // namespace qhost::contract
