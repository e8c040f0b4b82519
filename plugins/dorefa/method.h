/// DoReFa-Net (Zhou, Wu, Ni, Zhou, Wen, Zou, 2016, arXiv 1606.06160): weights, inputs and gradients
/// of a few bits. The formulas and their gradients are in functions.h.
///
/// Weights of k > 1 bits are uniform in [-1, +1], those of 1 bit are +-E|W|; one scale per layer
/// in both cases. Inputs are clipped to [0, 1], so they belong behind a ReLU: the host warns of
/// those that can be negative, whose sign is lost. The latent weights are not clipped.
///
/// The gradient that reaches the latent weights of k > 1 bits:
///
///     exact        the whole derivative, through tanh and through max|tanh(W)|, as in the paper
///     fixed_max    max|tanh(W)| taken for a constant, as in much public code
///
/// gradient_bits (G in the paper's tables) quantizes the gradient of each layer's output, with
/// u = uniform_like(random("gradient"), g); 32, the default, leaves it alone. The first and the
/// last layer stay in float by default, in all three roles, as in the paper.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::dorefa {

struct Settings {
  int weight_bits = 1;
  int input_bits = 2;
  int gradient_bits = 32;  ///< 32: float
  bool through_max = true;
  /// Throws OptionError for gradient_bits between 9 and 31.
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "dorefa"`.
std::vector<Option> options();

/// One slot's weights.
class DorefaWeight : public WeightQuantizer {
 public:
  explicit DorefaWeight(const Settings& settings) : settings_(settings) {}

  /// Binary with a scale for the layer, or uniform with a scale and a half-step zero point.
  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) if a latent weight is not finite.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
};

/// One slot's inputs.
class DorefaInput : public InputQuantizer {
 public:
  explicit DorefaInput(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  InputRange range() const override { return InputRange::non_negative; }
  std::string range_advice() const override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  Settings settings_;
};

/// The gradient of one layer's output.
class DorefaGradient : public GradientQuantizer {
 public:
  explicit DorefaGradient(int bits) : bits_(bits) {}

  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override;
  std::string summary() const override;

 private:
  int bits_;
};

/// The configured method: weights, inputs and gradients of conv2d and linear nodes.
class DorefaNet : public Quantizer {
 public:
  explicit DorefaNet(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override;
  /// Null for gradient_bits = 32.
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::dorefa
