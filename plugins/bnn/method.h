/// Binarized Neural Networks (Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, NIPS 2016, arXiv
/// 1602.02830): weights and inputs of -1 and +1.
///
///     weights   w_b = sign(w);   dC/dw = dC/dw_b           for every w        (Algorithm 1)
///               after the step   w <- clip(w, -1, +1)
///     inputs    a_b = sign(a);   dC/da = dC/da_b * 1{|a| <= 1}                 (Eq. 4)
///
/// sign(0) = +1. No scale. With activations = "stochastic" training draws a_b = +1 with the
/// probability clip((a + 1)/2, 0, 1) (Eq. 2), by u = uniform_like(random("sign"), a): +1 exactly if
/// u < (a + 1)/2 in float32. Evaluation takes the sign.
///
/// An input behind a ReLU is read in front of it (InputRange::signed_values). Zero padding puts a
/// 0 between the signs, in training and in evaluation, as in the authors' code.
///
/// The paper binarizes every layer, except that the first one reads the image itself: that is
/// keep_float = ["first/input"], where what the last layer reads takes both signs and a batch norm
/// follows it, as in the paper's network. The default keeps the last layer in float as well: behind
/// the average of a residual network's ReLUs nothing is left to take a sign of.
///
/// The authors' code enlarges the steps of the weights by 1/c, c = sqrt(1.5 / (fan_in + fan_out)),
/// and starts them uniformly in [-1, 1]: lr_scale = "glorot" does both (with Adam, as theirs); see
/// ../shared/latent_start.h.
/// Their shift-based batch norm and AdaMax are left out.
#pragma once

#include <memory>
#include <vector>

#include "../shared/latent_start.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::bnn {

struct Settings {
  bool stochastic_activations = false;
  latent::LrScale lr_scale = latent::LrScale::none;
  latent::Start start;

  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "bnn"`.
std::vector<Option> options();

/// One slot's weights.
class BinaryWeight : public WeightQuantizer {
 public:
  explicit BinaryWeight(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  LatentTraits latent_traits(const SlotInfo& slot) const override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  /// Throws Error(diverged) if a latent weight is not a number: a bit cannot say so.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
};

/// One slot's inputs.
class BinaryInput : public InputQuantizer {
 public:
  explicit BinaryInput(const Settings& settings) : settings_(settings) {}

  Encoding encoding(const SlotInfo& slot) const override;
  InputRange range() const override { return InputRange::signed_values; }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  Settings settings_;
};

/// The configured method: weights and inputs of conv2d and linear nodes.
class BinarizedNeuralNetwork : public Quantizer {
 public:
  explicit BinarizedNeuralNetwork(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::bnn
