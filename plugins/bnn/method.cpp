#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/isfinite.h>

#include <string>

#include "../shared/sign.h"
#include "qhost/error.h"
#include "stochastic_sign.h"

namespace qhost::bnn {

std::vector<Option> options() {
  return {
      Option::string("activations", "deterministic",
                     "how training binarizes inputs; evaluation takes the sign")
          .one_of({"deterministic", "stochastic"})
          .from_paper("Eq. 1 and 2"),
      Option::string("lr_scale", "none",
                     "glorot: multiplies the learning rate of the latent weights by 1/c, "
                     "c = sqrt(1.5 / (fan_in + fan_out)), as the authors' code does with Adam")
          .one_of({"none", "glorot"}),
      Option::string("init", "auto",
                     "start of the latent weights; paper: Uniform(-1, 1); architecture: as the "
                     "network drew them; auto: paper if lr_scale is set, else architecture; a "
                     "pretrained network "
                     "(train.init_from) keeps its weights")
          .one_of({"auto", "paper", "architecture"}),
  };
}

Settings Settings::from(const Options& options) {
  Settings s;
  s.stochastic_activations = options.string("activations") == "stochastic";
  if (options.string("lr_scale") == "glorot") s.lr_scale = latent::LrScale::glorot;
  s.start = latent::Start::of(options.string("init"), s.lr_scale);
  return s;
}

Encoding BinaryWeight::encoding(const SlotInfo&) const {
  return Encoding::binary(ScaleKind::none);
}

LatentTraits BinaryWeight::latent_traits(const SlotInfo& slot) const {
  return {.learning_rate_multiplier = latent::learning_rate_multiplier(settings_.lr_scale, slot)};
}

void BinaryWeight::initialize(const SlotContext& context, at::Tensor& latent) {
  latent::draw("bnn", settings_.start, context, latent);
}

at::Tensor BinaryWeight::forward(const SlotContext&, const at::Tensor& latent) {
  return sign::sign_identity(latent);
}

void BinaryWeight::after_step(const SlotContext&, at::Tensor& latent) {
  latent.clamp_(-1, 1);
}

Encoded BinaryWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  const auto bad = w.numel() - at::isfinite(w).sum().item<std::int64_t>();
  if (bad != 0) {
    throw Error(ErrorKind::diverged, "bnn: " + std::to_string(bad) + " of " +
                                         std::to_string(w.numel()) + " latent weights of " +
                                         context.slot->node +
                                         " are not finite, which a bit cannot carry\n"
                                         "help: lower the learning rate");
  }
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = at::ge(w, 0).to(at::kByte);
  return encoded;
}

Encoding BinaryInput::encoding(const SlotInfo&) const {
  return Encoding::binary(ScaleKind::none);
}

QuantizedInput BinaryInput::forward(const SlotContext& context, const at::Tensor& x) {
  if (settings_.stochastic_activations && context.mode == Mode::train) {
    return {.value = stochastic_sign(x, uniform_like(context.random("sign"), x))};
  }
  return {.value = sign::sign_hardtanh(x)};
}

EncodedInput BinaryInput::encode(const SlotContext& context, const at::Tensor& x) {
  EncodedInput result;
  result.codes.encoding = encoding(*context.slot);
  result.codes.codes = at::ge(x.detach(), 0).to(at::kByte);
  return result;
}

std::unique_ptr<WeightQuantizer> BinarizedNeuralNetwork::weight(const SlotInfo&) {
  return std::make_unique<BinaryWeight>(settings_);
}

std::unique_ptr<InputQuantizer> BinarizedNeuralNetwork::input(const SlotInfo& slot) {
  if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
  return std::make_unique<BinaryInput>(settings_);
}

QuantizerMethod method() {
  return {
      .name = "bnn",
      .summary = "weights and inputs of -1 and +1, clipped latent weights",
      .paper =
          "Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, Binarized Neural Networks, NIPS 2016, "
          "arXiv 1602.02830",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .keep_float = {"first/input", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinarizedNeuralNetwork>(Settings::from(given));
      },
  };
}

}  // namespace qhost::bnn
