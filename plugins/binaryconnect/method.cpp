#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>

#include "../shared/sign.h"
#include "qhost/error.h"

namespace qhost::binaryconnect {
namespace {

/// u < p(w). The clip of p is left out: a number of [0, 1) is below any p >= 1 and above any p <= 0
/// anyway.
at::Tensor drawn_positive(const at::Tensor& w, const at::Tensor& u) {
  return at::gt(at::add(w, 1).mul_(0.5), u);
}

at::Tensor stochastic_sign(const at::Tensor& w, const at::Tensor& u) {
  return drawn_positive(w, u).to(at::kFloat).mul_(2).sub_(1);
}

/// The straight-through estimator of Algorithm 1 around a drawn sign.
class DrawnSign : public torch::autograd::Function<DrawnSign> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& latent,
                            const at::Tensor& u) {
    return stochastic_sign(latent, u);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0], at::Tensor()};
  }
};

void require_finite(const SlotContext& context, const at::Tensor& latent) {
  const auto bad = latent.numel() - at::isfinite(latent).sum().item<std::int64_t>();
  if (bad == 0) return;
  throw Error(ErrorKind::diverged,
              "binaryconnect: the latent weight of " + context.slot->node + " holds " +
                  std::to_string(bad) + (bad == 1 ? " value that is" : " values that are") +
                  " not finite, which a bit cannot carry\n"
                  "help: lower the learning rate, or lr_scale, which multiplies it");
}

at::Tensor codes_of_member(SlotContext context, const at::Tensor& latent, int member) {
  // The draws of an evaluation, whatever the run is doing when it asks for the stored form.
  context.mode = Mode::evaluate;
  context.member = member;
  const at::Tensor u = uniform_like(context.random("sign"), latent);
  return drawn_positive(latent, u).to(at::kByte);
}

}  // namespace

std::vector<Option> options() {
  return {
      Option::string("mode", "deterministic", "how the binary weights follow from the latent ones")
          .one_of({"deterministic", "stochastic"})
          .from_paper("Eq. 1 and 2"),
      Option::string("test_weights", "auto",
                     "what evaluation and storage use; auto: binary for the deterministic mode, "
                     "real (32 bits) for the stochastic one")
          .one_of({"auto", "binary", "real", "ensemble"})
          .from_paper("section 2.6"),
      Option::integer("samples", 8, "networks drawn and averaged by test_weights = \"ensemble\"")
          .at_least(2)
          .at_most(256),
      Option::string("lr_scale", "none",
                     "multiplies the learning rate of the latent weights: glorot by 1/c, "
                     "glorot_squared by 1/c^2, c = sqrt(1.5 / (fan_in + fan_out)); the paper takes "
                     "glorot for Adam, glorot_squared for SGD")
          .one_of({"none", "glorot", "glorot_squared"})
          .from_paper("section 2.5"),
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
  const bool stochastic = options.string("mode") == "stochastic";
  s.mode = stochastic ? Binarization::stochastic : Binarization::deterministic;

  const std::string& test = options.string("test_weights");
  if (test == "ensemble") {
    s.test_weights = TestWeights::ensemble;
    s.samples = static_cast<int>(options.integer("samples"));
  } else if (test == "real" || (test == "auto" && stochastic)) {
    s.test_weights = TestWeights::real;
  }

  const std::string& scale = options.string("lr_scale");
  if (scale == "glorot") s.lr_scale = latent::LrScale::glorot;
  if (scale == "glorot_squared") s.lr_scale = latent::LrScale::glorot_squared;
  s.start = latent::Start::of(options.string("init"), s.lr_scale);
  return s;
}

Encoding BinaryWeight::encoding(const SlotInfo&) const {
  if (settings_.test_weights == TestWeights::real) return Encoding::float32();
  Encoding encoding = Encoding::binary(ScaleKind::none);
  encoding.ensemble_size = settings_.samples;
  return encoding;
}

LatentTraits BinaryWeight::latent_traits(const SlotInfo& slot) const {
  return {.learning_rate_multiplier = latent::learning_rate_multiplier(settings_.lr_scale, slot)};
}

void BinaryWeight::initialize(const SlotContext& context, at::Tensor& latent) {
  latent::draw("binaryconnect", settings_.start, context, latent);
}

at::Tensor BinaryWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  const bool training = context.mode == Mode::train;
  if (!training && settings_.test_weights == TestWeights::real) return latent;
  const bool draws = training ? settings_.mode == Binarization::stochastic
                              : settings_.test_weights == TestWeights::ensemble;
  if (!draws) return sign::sign_identity(latent);
  return DrawnSign::apply(latent, uniform_like(context.random("sign"), latent));
}

void BinaryWeight::after_step(const SlotContext&, at::Tensor& latent) {
  latent.clamp_(-1, 1);
}

Encoded BinaryWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  require_finite(context, w);
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  switch (settings_.test_weights) {
    case TestWeights::real:
      encoded.codes = w.clone();
      break;
    case TestWeights::binary:
      encoded.codes = at::ge(w, 0).to(at::kByte);
      break;
    case TestWeights::ensemble: {
      std::vector<at::Tensor> members;
      for (int m = 0; m < settings_.samples; ++m) members.push_back(codes_of_member(context, w, m));
      encoded.codes = at::stack(members);
      break;
    }
  }
  return encoded;
}

std::unique_ptr<WeightQuantizer> BinaryConnect::weight(const SlotInfo&) {
  return std::make_unique<BinaryWeight>(settings_);
}

Traits BinaryConnect::traits() const {
  Traits traits;
  traits.ensemble_size = settings_.samples;
  return traits;
}

QuantizerMethod method() {
  return {
      .name = "binaryconnect",
      .summary = "weights of -1 and +1, identity straight-through gradient, clipped latent weights",
      .paper = "Courbariaux, Bengio, David, BinaryConnect, NIPS 2015, arXiv 1511.00363",
      .options = options(),
      .roles = {Role::weight},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinaryConnect>(Settings::from(given));
      },
  };
}

}  // namespace qhost::binaryconnect
