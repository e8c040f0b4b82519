#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/isfinite.h>

#include <string>

#include "functions.h"
#include "qhost/error.h"

namespace qhost::dorefa {
namespace {

void require_finite(const SlotContext& context, const at::Tensor& latent) {
  const auto bad = latent.numel() - at::isfinite(latent).sum().item<std::int64_t>();
  if (bad == 0) return;
  throw Error(ErrorKind::diverged, "dorefa: " + std::to_string(bad) + " of " +
                                       std::to_string(latent.numel()) + " latent weights of " +
                                       context.slot->node +
                                       " are not finite\nhelp: lower the learning rate");
}

}  // namespace

std::vector<Option> options() {
  return {
      Option::integer("weight_bits", 1, "of a weight").at_least(1).at_most(8),
      Option::integer("input_bits", 2, "of an input").at_least(1).at_most(8),
      Option::integer("gradient_bits", 32,
                      "of the gradient of a layer's output, 1 to 8; 32 leaves it in float")
          .at_least(1)
          .at_most(32)
          .from_paper("Eq. 12"),
      Option::string("gradient", "exact",
                     "of weights of 2 or more bits; exact: through max|tanh(W)| as well; "
                     "fixed_max: with that maximum for a constant")
          .one_of({"exact", "fixed_max"})
          .from_paper("section 2.3"),
  };
}

Settings Settings::from(const Options& options) {
  const std::int64_t gradient_bits = options.integer("gradient_bits");
  if (gradient_bits > 8 && gradient_bits < 32) {
    throw OptionError("gradient_bits", "gradient_bits = " + std::to_string(gradient_bits) +
                                           " lies between 9 and 31\nhelp: give 1 to 8, or 32 for "
                                           "gradients in float");
  }
  return {.weight_bits = static_cast<int>(options.integer("weight_bits")),
          .input_bits = static_cast<int>(options.integer("input_bits")),
          .gradient_bits = static_cast<int>(gradient_bits),
          .through_max = options.string("gradient") == "exact"};
}

Encoding DorefaWeight::encoding(const SlotInfo&) const {
  if (settings_.weight_bits == 1) return Encoding::binary(ScaleKind::tensor);
  return Encoding::uniform(settings_.weight_bits, ScaleKind::tensor, ZeroPointKind::tensor);
}

at::Tensor DorefaWeight::forward(const SlotContext&, const at::Tensor& latent) {
  if (settings_.weight_bits == 1) return binarize_weight(latent);
  return quantize_weight(latent, settings_.weight_bits, settings_.through_max);
}

Encoded DorefaWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  require_finite(context, w);
  const int bits = settings_.weight_bits;
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  if (bits == 1) {
    encoded.codes = at::ge(w, 0).to(at::kByte);
    encoded.scale = binary_scale(w);
  } else {
    encoded.codes = weight_codes(w, bits).to(at::kByte);
    encoded.scale = weight_scale(w, bits);
    encoded.zero_point = at::full({}, largest_code(bits), w.options().dtype(at::kInt));
  }
  return encoded;
}

Encoding DorefaInput::encoding(const SlotInfo&) const {
  return Encoding::uniform(settings_.input_bits, ScaleKind::tensor, ZeroPointKind::none);
}

std::string DorefaInput::range_advice() const {
  return "DoReFa-Net clips inputs to [0, 1] (arXiv 1606.06160, section 2.4): put a ReLU in front, "
         "or "
         "give them a method with levels below 0 (roles = [\"input\"])";
}

QuantizedInput DorefaInput::forward(const SlotContext&, const at::Tensor& x) {
  return {.value = quantize_input(x, settings_.input_bits)};
}

EncodedInput DorefaInput::encode(const SlotContext& context, const at::Tensor& x) {
  EncodedInput result;
  result.codes.encoding = encoding(*context.slot);
  result.codes.codes = input_codes(x.detach(), settings_.input_bits).to(at::kByte);
  result.codes.scale = input_scale(x, settings_.input_bits);
  return result;
}

at::Tensor DorefaGradient::backward(const SlotContext& context, const at::Tensor& gradient) {
  return quantize_gradient(gradient, uniform_like(context.random("gradient"), gradient), bits_);
}

std::string DorefaGradient::summary() const {
  return std::to_string(bits_) + " bit, stochastic, scale per image";
}

std::unique_ptr<GradientQuantizer> DorefaNet::gradient(const SlotInfo&) {
  if (settings_.gradient_bits == 32) return nullptr;
  return std::make_unique<DorefaGradient>(settings_.gradient_bits);
}

std::unique_ptr<WeightQuantizer> DorefaNet::weight(const SlotInfo&) {
  return std::make_unique<DorefaWeight>(settings_);
}

std::unique_ptr<InputQuantizer> DorefaNet::input(const SlotInfo& slot) {
  if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
  return std::make_unique<DorefaInput>(settings_);
}

QuantizerMethod method() {
  return {
      .name = "dorefa",
      .summary =
          "weights of k bits through tanh (1 bit: sign times the mean |W|), inputs of k "
          "bits in [0, 1]; stochastic gradients of k bits",
      .paper = "Zhou, Wu, Ni, Zhou, Wen, Zou, DoReFa-Net, 2016, arXiv 1606.06160",
      .options = options(),
      .roles = {Role::weight, Role::input, Role::gradient},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<DorefaNet>(Settings::from(given));
      },
  };
}

}  // namespace qhost::dorefa
