#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <string>

#include "qhost/error.h"

namespace qhost::lsq {
namespace {

std::int64_t elements(const SlotInfo& slot) {
  std::int64_t n = 1;
  for (const std::int64_t d : slot.shape) n *= d;
  return n;
}

SlotParameter learned(const at::Tensor& step, const Settings& settings) {
  return {.name = "step",
          .tensor = step,
          .learning_rate_multiplier = settings.step_learning_rate,
          .weight_decay = settings.step_weight_decay};
}

Encoding encoding_of(int bits, const Levels& levels) {
  return Encoding::uniform(bits, ScaleKind::tensor,
                           levels.qn == 0 ? ZeroPointKind::none : ZeroPointKind::tensor);
}

Encoded encode_with(const at::Tensor& v, const at::Tensor& step, const Levels& levels,
                    const Encoding& encoding) {
  const at::NoGradGuard no_grad;
  Encoded encoded;
  encoded.encoding = encoding;
  encoded.codes = codes(v, step, levels).to(at::kByte);
  encoded.scale = step.detach().clone();
  if (levels.qn != 0) {  // in half steps
    encoded.zero_point = at::full({}, 2 * levels.qn, step.options().dtype(at::kInt));
  }
  return encoded;
}

}  // namespace

std::vector<Option> options() {
  return {
      Option::integer("weight_bits", 4, "of a weight").at_least(2).at_most(8),
      Option::integer("input_bits", 4, "of an input").at_least(1).at_most(8),
      Option::integer("first_last_bits", 8,
                      "of the weights and inputs of the first and the last layer")
          .at_least(2)
          .at_most(8)
          .from_paper("section 2.3"),
      Option::string(
          "signed_inputs", "auto",
          "levels on both sides of 0 for the inputs, with 2 bits or more; auto: for those "
          "that can be negative; true: for all; false: for none")
          .one_of({"auto", "true", "false"})
          .from_paper("section 2"),
      Option::real("step_learning_rate", 1.0, "multiplies the learning rate of the steps").above(0),
      Option::real("step_weight_decay", 0.0, "of the steps").at_least(0),
  };
}

Settings Settings::from(const Options& options) {
  Settings s;
  s.weight_bits = static_cast<int>(options.integer("weight_bits"));
  s.input_bits = static_cast<int>(options.integer("input_bits"));
  s.first_last_bits = static_cast<int>(options.integer("first_last_bits"));
  const std::string& which = options.string("signed_inputs");
  if (which == "true") s.signed_inputs = SignedInputs::always;
  if (which == "false") s.signed_inputs = SignedInputs::never;
  s.step_learning_rate = options.real("step_learning_rate");
  s.step_weight_decay = options.real("step_weight_decay");
  if (s.signed_inputs == SignedInputs::always && s.input_bits < 2) {
    throw OptionError("signed_inputs",
                      "signed_inputs = true with input_bits = 1 leaves the levels -1 and 0",
                      "set input_bits = 2 or more, or signed_inputs = \"auto\"");
  }
  return s;
}

int Settings::bits(const SlotInfo& slot) const {
  if (slot.first || slot.last) return first_last_bits;
  return slot.role == Role::weight ? weight_bits : input_bits;
}

bool Settings::is_signed(const SlotInfo& slot) const {
  if (slot.first || signed_inputs == SignedInputs::always) return true;
  return signed_inputs == SignedInputs::where_negative && !slot.non_negative && bits(slot) >= 2;
}

LearnedStepWeight::LearnedStepWeight(const Settings& settings, const SlotInfo& slot)
    : settings_(settings),
      bits_(settings.bits(slot)),
      levels_(Levels::signed_of(bits_)),
      gradient_scale_(gradient_scale(elements(slot), levels_)),
      step_(at::ones({}, at::kFloat)) {}

Encoding LearnedStepWeight::encoding(const SlotInfo&) const {
  return encoding_of(bits_, levels_);
}

std::vector<SlotParameter> LearnedStepWeight::parameters() {
  return {learned(step_, settings_)};
}

void LearnedStepWeight::initialize(const SlotContext&, at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  step_.copy_(first_step(latent, levels_));
}

at::Tensor LearnedStepWeight::forward(const SlotContext&, const at::Tensor& latent) {
  return quantize(latent, step_, levels_, gradient_scale_);
}

void LearnedStepWeight::after_step(const SlotContext&, at::Tensor&) {
  step_.clamp_min_(smallest_step);
}

Encoded LearnedStepWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  return encode_with(latent, step_, levels_, encoding(*context.slot));
}

LearnedStepInput::LearnedStepInput(const Settings& settings, const SlotInfo& slot)
    : settings_(settings),
      bits_(settings.bits(slot)),
      signed_(settings.is_signed(slot)),
      levels_(signed_ ? Levels::signed_of(bits_) : Levels::unsigned_of(bits_)),
      gradient_scale_(gradient_scale(elements(slot), levels_)),
      step_(at::ones({}, at::kFloat)),
      started_(at::zeros({}, at::kFloat)) {}

Encoding LearnedStepInput::encoding(const SlotInfo&) const {
  return encoding_of(bits_, levels_);
}

InputRange LearnedStepInput::range() const {
  // Not signed_values: levels on both sides of 0 serve what is behind a ReLU as well.
  return signed_ ? InputRange::any : InputRange::non_negative;
}

std::string LearnedStepInput::range_advice() const {
  if (bits_ < 2) return "1 bit has no levels on both sides of 0: set input_bits = 2 or more";
  return "signed_inputs = \"auto\" gives them levels on both sides of 0";
}

std::vector<SlotParameter> LearnedStepInput::parameters() {
  return {learned(step_, settings_), {.name = "started", .tensor = started_, .trainable = false}};
}

void LearnedStepInput::initialize(const SlotContext&) {
  const at::NoGradGuard no_grad;
  step_.fill_(1);
  started_.fill_(0);
}

QuantizedInput LearnedStepInput::forward(const SlotContext& context, const at::Tensor& x) {
  // Asked of the tensor, not remembered beside it: a loaded checkpoint changes the tensor alone.
  if (context.mode == Mode::train && started_.item<float>() == 0) {
    const at::NoGradGuard no_grad;
    step_.copy_(first_step(x, levels_));
    started_.fill_(1);
  }
  return {.value = quantize(x, step_, levels_, gradient_scale_)};
}

void LearnedStepInput::after_step(const SlotContext&) {
  step_.clamp_min_(smallest_step);
}

EncodedInput LearnedStepInput::encode(const SlotContext& context, const at::Tensor& x) {
  if (started_.item<float>() == 0) {
    throw Error(ErrorKind::configuration,
                "lsq: the step of the inputs of " + context.slot->node +
                    " starts with the first training batch, and there was none",
                "train for a step or more; `qhost quantize` takes methods that need no "
                "training, as ptq_static");
  }
  return {.codes = encode_with(x, step_, levels_, encoding(*context.slot))};
}

std::unique_ptr<WeightQuantizer> LearnedStepSize::weight(const SlotInfo& slot) {
  return std::make_unique<LearnedStepWeight>(settings_, slot);
}

std::unique_ptr<InputQuantizer> LearnedStepSize::input(const SlotInfo& slot) {
  if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
  return std::make_unique<LearnedStepInput>(settings_, slot);
}

QuantizerMethod method() {
  return {
      .name = "lsq",
      .summary = "uniform weights and inputs with a learned step",
      .paper =
          "Esser, McKinstry, Bablani, Appuswamy, Modha, Learned Step Size Quantization, ICLR 2020, "
          "arXiv 1902.08153",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<LearnedStepSize>(Settings::from(given));
      },
  };
}

}  // namespace qhost::lsq
