#include "input.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "rounding.h"

namespace qhost::contract {

InputSettings InputSettings::from(const Options& options) {
  InputSettings s;
  s.bits = static_cast<int>(options.integer("bits"));
  s.signed_values = options.boolean("signed_values");
  s.position_scale = options.boolean("position_scale");
  s.joins = options.boolean("joins");
  s.calibrate = options.boolean("calibrate");
  s.float_epochs = options.integer("float_epochs");
  s.step_learning_rate = options.real("step_learning_rate");
  return s;
}

UniformInput::UniformInput(const InputSettings& settings, const SlotInfo& slot)
    : settings_(settings),
      per_position_(settings.position_scale && (slot.op == Op::conv2d || slot.op == Op::linear)),
      step_(at::ones({}, at::kFloat)),
      magnitude_(at::ones({}, at::kFloat)),
      batches_(at::zeros({}, at::kFloat)) {
  const double elements = static_cast<double>(Shape{slot.shape}.elements());
  gradient_factor_ = 1.0 / std::sqrt(elements * static_cast<double>(largest_code(settings.bits)));
}

std::int64_t UniformInput::zero_point() const {
  return settings_.signed_values ? largest_code(settings_.bits) : 0;
}

Encoding UniformInput::encoding(const SlotInfo&) const {
  return Encoding::uniform(settings_.bits, per_position_ ? ScaleKind::position : ScaleKind::tensor,
                           settings_.signed_values ? ZeroPointKind::tensor : ZeroPointKind::none);
}

InputRange UniformInput::range() const {
  return settings_.signed_values ? InputRange::signed_values : InputRange::non_negative;
}

std::vector<SlotParameter> UniformInput::parameters() {
  return {
      {.name = "step", .tensor = step_, .learning_rate_multiplier = settings_.step_learning_rate},
      {.name = "magnitude", .tensor = magnitude_, .trainable = false},
      {.name = "batches", .tensor = batches_, .trainable = false},
  };
}

void UniformInput::set_step() {
  const at::NoGradGuard no_grad;
  const double largest = static_cast<double>(largest_code(settings_.bits));
  const double levels_on_a_side = settings_.signed_values ? largest / 2 : largest;
  step_.copy_(magnitude_.mul(2.0 / std::sqrt(levels_on_a_side)));
  step_.clamp_min_(1e-8);
}

void UniformInput::initialize(const SlotContext&) {
  magnitude_.fill_(1);
  batches_.fill_(0);
  set_step();
}

void UniformInput::observe(const SlotContext&, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  batches_.add_(1);
  // The mean of the batches seen so far, in one pass.
  magnitude_.add_(at::mean(at::abs(x)).sub_(magnitude_).div_(batches_));
  set_step();
}

at::Tensor UniformInput::in_codes(const at::Tensor& x, const at::Tensor& step) const {
  return x.div(step).add(static_cast<double>(zero_point()) / 2);
}

at::Tensor UniformInput::position_scale(const SlotInfo& slot, const at::Tensor& x) const {
  const at::NoGradGuard no_grad;
  at::Tensor local = at::mean(at::abs(x), {1}, true);
  if (slot.op == Op::conv2d) {
    local = at::avg_pool2d(local, {slot.kernel.height, slot.kernel.width},
                           {slot.stride.height, slot.stride.width},
                           {slot.padding.height, slot.padding.width}, false, true);
  }
  return local.div(magnitude_.clamp_min(1e-8)).add_(1).mul_(0.5);
}

QuantizedInput UniformInput::forward(const SlotContext& context, const at::Tensor& x) {
  const at::Tensor step = scale_gradient(step_, gradient_factor_);
  const at::Tensor level = round_to_code_ste(in_codes(x, step), std::nullopt, settings_.bits)
                               .sub(static_cast<double>(zero_point()) / 2);
  QuantizedInput result;
  if (per_position_) {
    result.value = level;
    result.output_scale = position_scale(*context.slot, x).mul(step);
  } else {
    result.value = level.mul(step);
  }
  if (context.mode == Mode::train) {
    const at::NoGradGuard no_grad;
    magnitude_.lerp_(at::mean(at::abs(x)), 0.1);
  }
  return result;
}

void UniformInput::after_step(const SlotContext&) {
  step_.clamp_min_(1e-8);
}

EncodedInput UniformInput::encode(const SlotContext& context, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  EncodedInput result;
  Encoded& codes = result.codes;
  codes.encoding = encoding(*context.slot);
  codes.codes = round_to_code(in_codes(x, step_), std::nullopt, settings_.bits).to(at::kByte);
  if (settings_.signed_values) {
    codes.zero_point = at::full({}, zero_point(), step_.options().dtype(at::kInt));
  }
  if (per_position_) {
    result.output_scale = position_scale(*context.slot, x).mul(step_);
  } else {
    codes.scale = step_.detach().clone();
  }
  return result;
}

namespace {

class InputMethod : public Quantizer {
 public:
  explicit InputMethod(const InputSettings& settings) : settings_(settings) {}

  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    const bool multiplies = slot.op == Op::conv2d || slot.op == Op::linear;
    if (!multiplies && !settings_.joins) return nullptr;
    return std::make_unique<UniformInput>(settings_, slot);
  }

  Traits traits() const override {
    Traits traits;
    traits.needs_calibration = settings_.calibrate;
    if (settings_.float_epochs > 0) {
      traits.phases = {
          {.name = "float", .weights_quantized = false, .inputs_quantized = false},
          {.name = "quantized", .first_epoch = settings_.float_epochs},
      };
    }
    return traits;
  }

 private:
  InputSettings settings_;
};

}  // namespace

QuantizerMethod input_method() {
  return {
      .name = "contract_input",
      .summary = "uniform input codes with a learned step, optionally scaled per output position",
      .paper = "Esser et al., LSQ, ICLR 2020, arXiv 1902.08153",
      .options =
          {
              Option::integer("bits", 4, "of an input").at_least(1).at_most(8),
              Option::boolean("signed_values", false, "levels on both sides of 0"),
              Option::boolean("position_scale", false, "scale the output per position"),
              Option::boolean("joins", false, "inputs of add, concat and pooling nodes, too"),
              Option::boolean("calibrate", false, "measure the inputs before training"),
              Option::integer("float_epochs", 0, "epochs in float before the first quantized one")
                  .at_least(0),
              Option::real("step_learning_rate", 0.1, "multiplies the learning rate of the step")
                  .above(0),
          },
      .roles = {Role::input},
      .keep_float = {"first"},
      .create = [](const Options& options) -> std::unique_ptr<Quantizer> {
        return std::make_unique<InputMethod>(InputSettings::from(options));
      },
  };
}

}  // namespace qhost::contract
