/// ptq_half: weights and node inputs in a 16-bit float format, arithmetic in float32.
///
///     x^ = round(x) to the nearest value of the format, ties to the even significand
///
///     fp16   IEEE 754 binary16: 11 significant bits, largest finite value 65504
///     bf16   bfloat16: 8 significant bits, the range of float32
///
/// Shapes are kept; values are stored as they are, without a scale. Weights are those of conv2d and
/// linear; inputs are those of conv2d and linear and, with `joins`, of add and concat, with `pools`
/// of the poolings. Biases and batch norms stay float32.
///
/// Overflow follows IEEE 754 and PyTorch's half(): what rounds beyond the largest finite value
/// (from 65520 on in fp16) becomes infinite, and nothing saturates. In evaluation a weight or an
/// input that is or becomes infinite is an error; training = "quantized" lets it flow on.
///
/// The gradient of the rounding is 1 (training = "quantized").
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"
#include "training.h"

namespace qhost::ptq {

enum class HalfFormat { fp16, bf16 };

struct HalfSettings {
  HalfFormat format = HalfFormat::fp16;
  Training training = Training::as_float;
  bool joins = true;
  bool pools = true;
  static HalfSettings from(const Options& options);
};

/// x rounded to the format, as float32.
at::Tensor rounded(const at::Tensor& x, HalfFormat format);

class HalfWeight : public WeightQuantizer {
 public:
  explicit HalfWeight(const HalfSettings& settings) : settings_(settings) {}
  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) for a weight that the format cannot hold.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  HalfSettings settings_;
};

class HalfInput : public InputQuantizer {
 public:
  explicit HalfInput(const HalfSettings& settings) : settings_(settings) {}
  Encoding encoding(const SlotInfo& slot) const override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  /// Throws Error(diverged) for a value that the format cannot hold.
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  HalfSettings settings_;
};

QuantizerMethod half_method();

}  // namespace qhost::ptq
