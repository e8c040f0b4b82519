// Binarized Neural Networks (Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, NIPS 2016, arXiv
// 1602.02830): weights and inputs of -1 and +1.
//
//     weights   w_b = sign(w);   dC/dw = dC/dw_b           for every w        (Algorithm 1)
//               after the step   w <- clip(w, -1, +1)
//     inputs    a_b = sign(a);   dC/da = dC/da_b * 1{|a| <= 1}                 (Eq. 4)
//
// sign(0) = +1. No scale. With activations = "stochastic" training draws a_b = +1 with the
// probability clip((a + 1)/2, 0, 1) (Eq. 2), by u = uniform_like(random("sign"), a): +1 exactly if
// u < (a + 1)/2 in float32. Evaluation takes the sign.
//
// An input behind a ReLU is read in front of it (InputRange::signed_values). Zero padding puts a
// 0 between the signs, in training and in evaluation, as in the authors' code; padding_value = 1 puts a
// +1 there, as Larq does with pad_values = 1.
//
// The paper binarizes every layer, except that the first one reads the image itself: that is
// keep_float = ["first/input"], where the input of the last layer takes both signs and a batch norm
// follows it, as in the paper's network. The default keeps the last layer in float as well: behind
// the average of a residual network's ReLUs nothing is left to take a sign of.
//
// The authors' code enlarges the steps of the weights and starts them uniformly in [-1, 1]:
// lr_scale = "glorot" does both (with Adam, as theirs); see shared/latent_start.h. Their
// shift-based batch norm and AdaMax are left out.
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>

#include "qhost/options.h"
#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"
#include "shared/latent_start.h"

namespace {

using namespace qhost;

class BinaryWeight : public StatelessWeight {
 public:
  explicit BinaryWeight(const LatentStart& start) : start_(start) {}

  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }

  LatentTraits latent_traits(const SlotInfo& slot) const override {
    return {.learning_rate_multiplier = start_.learning_rate_multiplier(slot)};
  }

  void initialize(const SlotContext& context, at::Tensor& latent) override {
    start_.draw(context, latent);
  }

  void after_step(const SlotContext&, at::Tensor& latent) override { latent.clamp_(-1, 1); }

  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot), .codes = ste::sign_codes(w)};
  }

 private:
  LatentStart start_;
};

class BinaryInput : public InputQuantizer {
 public:
  BinaryInput(bool stochastic, double padding_value)
      : stochastic_(stochastic), padding_value_(padding_value) {}

  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }
  InputRange range() const override { return InputRange::signed_values; }
  double padding_value() const override { return padding_value_; }

  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    if (!stochastic_ || context.mode != Mode::train) return {.value = ste::sign_clipped(x)};
    const at::Tensor a = x.detach();
    // The clip of the probability is left out: a number of [0, 1) is below any p >= 1 and above any
    // p <= 0 anyway.
    const at::Tensor positive =
        at::gt(at::add(a, 1).mul_(0.5), uniform_like(context.random("sign"), a));
    return {.value = ste::straight_through(x, positive.to(at::kFloat).mul_(2).sub_(1),
                                           at::le(at::abs(a), 1))};
  }

  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return {.codes = {.encoding = encoding(*context.slot), .codes = ste::sign_codes(x)}};
  }

 private:
  bool stochastic_;
  double padding_value_;
};

class BinarizedNeuralNetwork : public Quantizer {
 public:
  explicit BinarizedNeuralNetwork(const Options& options)
      : start_("bnn", options),
        stochastic_(options.string("activations") == "stochastic"),
        padding_value_(static_cast<double>(options.integer("padding_value"))) {}

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<BinaryWeight>(start_);
  }

  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
    return std::make_unique<BinaryInput>(stochastic_, padding_value_);
  }

 private:
  LatentStart start_;
  bool stochastic_;
  double padding_value_;
};

}  // namespace

QHOST_PLUGIN(bnn, "Binarized Neural Networks: weights and inputs of -1 and +1", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer({
      .name = "bnn",
      .summary = "weights and inputs of -1 and +1, clipped latent weights",
      .paper =
          "Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, Binarized Neural Networks, NIPS 2016, "
          "arXiv 1602.02830",
      .options = {Option::string("activations", "deterministic",
                                 "how training binarizes inputs; evaluation takes the sign")
                      .one_of({"deterministic", "stochastic"})
                      .from_paper("Eq. 1 and 2"),
                  Option::string(
                      "lr_scale", "none",
                      "glorot: multiplies the learning rate of the latent weights by 1/c, "
                      "c = sqrt(1.5 / (fan_in + fan_out)), as the authors' code does with Adam")
                      .one_of({"none", "glorot"}),
                  Option::integer("padding_value", 0,
                                  "what the padding of a convolution holds; 0: as in the authors' "
                                  "code; 1: as Larq's pad_values = 1")
                      .at_least(0)
                      .at_most(1),
                  LatentStart::init_option()},
      .roles = {Role::weight, Role::input},
      .keep_float = {"first/input", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinarizedNeuralNetwork>(given);
      },
  });
}
