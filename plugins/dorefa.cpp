// DoReFa-Net (Zhou, Wu, Ni, Zhou, Wen, Zou, 2016, arXiv 1606.06160, sections 2.2 to 2.5): weights,
// inputs and gradients of a few bits. With n = 2^k - 1:
//
//     quantize_k(r) = round(n * r) / n         r in [0, 1]; round half to even; d/dr = 1
//
// Weights of k > 1 bits, m = max|tanh(W)| over the layer:
//
//     W~ = 2 * quantize_k(tanh(W) / (2m) + 1/2) - 1         in {-1, -1 + 2/n, ..., +1}; no 0
//     dC/dW_i = G_i * t'_i / m  -  e_i * sign(t_i) * t'_i / m^2 * sum_j G_j t_j
//
//   with G = dC/dW~, t = tanh(W), t' = 1 - t^2. The second term is the way through m: e_i is 1/c
//   for the c weights with |t_i| = m, else 0. gradient = "exact" has it, as the paper; "fixed_max"
//   takes m for a constant, as much public code does.
//   Where all weights are 0, m counts as 1: the codes are those of 0, the gradient is G.
//
// Weights of 1 bit:
//
//     W~ = E|W| * sign(W), sign(0) = +1,  E the mean over the layer;   dC/dW = dC/dW~
//
// Inputs of k bits, which belong behind a ReLU (the host warns where they can be negative):
//
//     x~ = quantize_k(clip(x, 0, 1));     dC/dx = dC/dx~ where 0 <= x <= 1, else 0
//
// The gradient g of a layer's output, k bits, m = max|g| over one image, Eq. 12:
//
//     g~ = 2m * (quantize_k(clip(g/(2m) + 1/2 + N, 0, 1)) - 1/2),    N = (u - 1/2)/n
//
//   u = uniform_like(random("gradient"), g). N makes E[g~] = g: what it pushes out of [0, 1] rounds
//   to a level anyway, so that the clip (of the authors' program; the paper does not mention it)
//   only catches float32's rounding at the two ends. An image whose m is 0 keeps its zeros.
//   gradient_bits = 32, the default, leaves gradients alone.
//
// Codes are 0 .. n. The values computed are scale * (code - zero point), rounded once: 1 ulp of
// their layer's largest value beside the formulas above. The latent weights are not clipped. The
// first and the last layer stay in float by default, in all three roles, as in the paper.
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/div.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sign.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>

#include <string>
#include <vector>

#include "qhost/error.h"
#include "qhost/options.h"
#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace {

using namespace qhost;

constexpr double smallest_normal = 1.17549435e-38;  // of float32

/// n: the largest code, and the zero point of the weights in half steps.
std::int64_t largest_code(int bits) {
  return (std::int64_t{1} << bits) - 1;
}

at::Tensor scalar(double value, const at::Tensor& like) {
  return at::full({}, value, like.options().dtype(at::kFloat));
}

/// max|t|, and at least the smallest normal number. A layer of zeros is divided by 1: it has the
/// code of 0 everywhere, and gradients that are not beyond float32.
at::Tensor largest(const at::Tensor& t) {
  const at::Tensor m = at::amax(at::abs(t));
  return at::where(at::eq(m, 0), 1.0, m.clamp_min(smallest_normal)).to(at::kFloat);
}

class DorefaWeight : public StatelessWeight {
 public:
  DorefaWeight(int bits, bool through_max) : bits_(bits), through_max_(through_max) {}

  Encoding encoding(const SlotInfo&) const override {
    if (bits_ == 1) return Encoding::binary(ScaleKind::tensor);
    return Encoding::uniform(bits_, ScaleKind::tensor, ZeroPointKind::tensor);
  }

  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    Encoded encoded = {.encoding = encoding(*context.slot)};
    if (bits_ == 1) {
      encoded.codes = ste::sign_codes(w);
      encoded.scale = at::mean(at::abs(w), at::kDouble).to(at::kFloat);
      return encoded;
    }
    const std::int64_t n = largest_code(bits_);
    const at::Tensor t = at::tanh(w);
    encoded.codes = t.div(largest(t).mul_(2)).add_(0.5).mul_(n).round_().to(at::kByte);
    encoded.scale = scalar(2.0 / static_cast<double>(n), w);
    encoded.zero_point = at::full({}, n, w.options().dtype(at::kInt));
    return encoded;
  }

  at::Tensor gradient(const SlotContext&, const at::Tensor& w, const at::Tensor& g) const override {
    if (bits_ == 1) return g;
    const at::Tensor t = at::tanh(w);
    const at::Tensor m = largest(t);
    const at::Tensor slope = t.square().neg_().add_(1);
    at::Tensor result = at::mul(g, slope).div_(m);
    if (!through_max_) return result;
    const at::Tensor at_max = at::eq(at::abs(t), m).to(at::kFloat);
    const at::Tensor share = at::sum(at::mul(g, t), at::kDouble)
                                 .div_(m.to(at::kDouble).square())
                                 .div_(at::sum(at_max).clamp_min_(1))
                                 .to(at::kFloat);
    return result.sub_(at_max.mul_(at::sign(t)).mul_(slope).mul_(share));
  }

 private:
  int bits_;
  bool through_max_;
};

class DorefaInput : public InputQuantizer {
 public:
  explicit DorefaInput(int bits) : bits_(bits) {}

  Encoding encoding(const SlotInfo&) const override {
    return Encoding::uniform(bits_, ScaleKind::tensor, ZeroPointKind::none);
  }
  InputRange range() const override { return InputRange::non_negative; }
  std::string range_advice() const override {
    return "DoReFa-Net clips inputs to [0, 1] (arXiv 1606.06160, section 2.4): put a ReLU in "
           "front, "
           "or give them a method with levels below 0 (roles = [\"input\"])";
  }

  QuantizedInput forward(const SlotContext&, const at::Tensor& given) override {
    const at::Tensor x = given.detach();
    return {.value = ste::straight_through(given, codes(x).mul_(scale(x)),
                                           at::ge(x, 0).logical_and_(at::le(x, 1)))};
  }

  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return {.codes = {.encoding = encoding(*context.slot),
                      .codes = codes(x.detach()).to(at::kByte),
                      .scale = scale(x)}};
  }

 private:
  at::Tensor codes(const at::Tensor& x) const {
    // Adding 0 makes the -0 of a negative input's code a +0.
    return at::clamp(x, 0, 1).mul_(largest_code(bits_)).round_().add_(0);
  }
  at::Tensor scale(const at::Tensor& x) const {
    return scalar(1.0 / static_cast<double>(largest_code(bits_)), x);
  }
  int bits_;
};

class DorefaGradient : public GradientQuantizer {
 public:
  explicit DorefaGradient(int bits) : bits_(bits) {}

  at::Tensor backward(const SlotContext& context, const at::Tensor& g) override {
    const at::Tensor u = uniform_like(context.random("gradient"), g);
    const auto n = static_cast<double>(largest_code(bits_));
    std::vector<std::int64_t> of_image;
    for (std::int64_t d = 1; d < g.dim(); ++d) of_image.push_back(d);
    const at::Tensor twice = at::amax(at::abs(g), of_image, /*keepdim=*/true).mul_(2);
    // 0/0 of an image without a gradient: any number will do, since `twice` multiplies it.
    at::Tensor r = at::div(g, twice.clamp_min(smallest_normal)).add_(0.5);
    r.add_(at::sub(u, 0.5).div_(n)).clamp_(0, 1);
    return r.mul_(n).round_().div_(n).sub_(0.5).mul_(twice);
  }

  std::string summary() const override {
    return std::to_string(bits_) + " bit, stochastic, scale per image";
  }

 private:
  int bits_;
};

/// Weights, inputs and gradients of conv2d and linear nodes.
class DorefaNet : public Quantizer {
 public:
  explicit DorefaNet(const Options& options)
      : weight_bits_(static_cast<int>(options.integer("weight_bits"))),
        input_bits_(static_cast<int>(options.integer("input_bits"))),
        gradient_bits_(static_cast<int>(options.integer("gradient_bits"))),
        through_max_(options.string("gradient") == "exact") {
    if (gradient_bits_ > 8 && gradient_bits_ < 32) {
      throw OptionError(
          "gradient_bits",
          "gradient_bits = " + std::to_string(gradient_bits_) + " lies between 9 and 31",
          "give 1 to 8, or 32 for gradients in float");
    }
  }

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<DorefaWeight>(weight_bits_, through_max_);
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
    return std::make_unique<DorefaInput>(input_bits_);
  }
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo&) override {
    if (gradient_bits_ == 32) return nullptr;
    return std::make_unique<DorefaGradient>(gradient_bits_);
  }

 private:
  int weight_bits_, input_bits_, gradient_bits_;
  bool through_max_;
};

}  // namespace

QHOST_PLUGIN(dorefa, "DoReFa-Net: weights and inputs of few bits", "Apache-2.0", "qhost") {
  registrar.add_quantizer({
      .name = "dorefa",
      .summary = "weights of k bits through tanh (1 bit: sign times the mean |W|), inputs of k "
                 "bits in [0, 1]; stochastic gradients of k bits",
      .paper = "Zhou, Wu, Ni, Zhou, Wen, Zou, DoReFa-Net, 2016, arXiv 1606.06160",
      .options = {Option::integer("weight_bits", 1, "of a weight").at_least(1).at_most(8),
                  Option::integer("input_bits", 2, "of an input").at_least(1).at_most(8),
                  Option::integer(
                      "gradient_bits", 32,
                      "of the gradient of a layer's output, 1 to 8; 32 leaves it in float")
                      .at_least(1)
                      .at_most(32)
                      .from_paper("Eq. 12"),
                  Option::string(
                      "gradient", "exact",
                      "of weights of 2 or more bits; exact: through max|tanh(W)| as well; "
                      "fixed_max: with that maximum for a constant")
                      .one_of({"exact", "fixed_max"})
                      .from_paper("section 2.3")},
      .roles = {Role::weight, Role::input, Role::gradient},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<DorefaNet>(given);
      },
  });
}
