#include "weight.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "qhost/error.h"
#include "rounding.h"

namespace qhost::contract {
namespace {

constexpr const char* quantized_phase = "quantized";

void clip_when_quantized(const WeightSettings& settings, const SlotContext& context,
                         at::Tensor& latent) {
  // Without phases the name is empty and every epoch is quantized.
  if (!context.phase.empty() && context.phase != quantized_phase) return;
  latent.clamp_(-settings.clip, settings.clip);
}

/// The value of the first argument with the gradient of the second.
class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& value,
                            const at::Tensor& /*latent*/) {
    return value.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    return {at::Tensor(), gradients[0]};
  }
};

}  // namespace

WeightSettings WeightSettings::from(const Options& options) {
  WeightSettings s;
  s.bits = static_cast<int>(options.integer("bits"));
  s.codebook = options.string("levels") == "codebook";
  s.stochastic = options.boolean("stochastic");
  s.fold_batch_norm = options.boolean("fold_batch_norm");
  s.calibrate = options.boolean("calibrate");
  s.float_epochs = options.integer("float_epochs");
  s.clip = options.real("clip");
  s.step_learning_rate = options.real("step_learning_rate");
  s.step_weight_decay = options.real("step_weight_decay");
  if (s.codebook && s.stochastic) {
    throw OptionError("stochastic",
                      "stochastic = true draws between uniform levels, but levels = \"codebook\"\n"
                      "help: set levels = \"uniform\" or stochastic = false");
  }
  return s;
}

UniformWeight::UniformWeight(const WeightSettings& settings, const SlotInfo& slot)
    : settings_(settings), step_(at::ones({}, at::kFloat)) {
  std::int64_t weights = 1;
  for (const std::int64_t d : slot.shape) weights *= d;
  gradient_factor_ = 1.0 / std::sqrt(static_cast<double>(weights) * half_zero_point());
}

double UniformWeight::half_zero_point() const {
  return static_cast<double>(largest_code(settings_.bits)) / 2;
}

Encoding UniformWeight::encoding(const SlotInfo&) const {
  return Encoding::uniform(settings_.bits, ScaleKind::tensor, ZeroPointKind::tensor);
}

std::vector<SlotParameter> UniformWeight::parameters() {
  return {{.name = "step",
           .tensor = step_,
           .learning_rate_multiplier = settings_.step_learning_rate,
           .weight_decay = settings_.step_weight_decay}};
}

void UniformWeight::set_step(const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  step_.copy_(at::mean(at::abs(latent)).mul_(2.0 / std::sqrt(half_zero_point())));
  step_.clamp_min_(1e-8);
}

void UniformWeight::initialize(const SlotContext&, at::Tensor& latent) {
  set_step(latent);
}

void UniformWeight::observe(const SlotContext&, const at::Tensor& latent) {
  set_step(latent);
}

at::Tensor UniformWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  const bool draws = settings_.stochastic && context.mode == Mode::train;
  std::optional<at::Tensor> u;
  if (draws) u = uniform_like(context.random("round"), latent);
  const at::Tensor step = scale_gradient(step_, gradient_factor_);
  const at::Tensor code =
      round_to_code_ste(latent.div(step).add(half_zero_point()), u, settings_.bits);
  return code.sub(half_zero_point()).mul(step);
}

void UniformWeight::after_step(const SlotContext& context, at::Tensor& latent) {
  clip_when_quantized(settings_, context, latent);
  step_.clamp_min_(1e-8);
}

Encoded UniformWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor step = step_.detach();
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes =
      round_to_code(latent.detach().div(step).add(half_zero_point()), std::nullopt, settings_.bits)
          .to(at::kByte);
  encoded.scale = step.clone();
  encoded.zero_point = at::full({}, largest_code(settings_.bits), step.options().dtype(at::kInt));
  return encoded;
}

CodebookWeight::CodebookWeight(const WeightSettings& settings, const SlotInfo& slot)
    : settings_(settings),
      table_(at::zeros({slot.shape.at(0), largest_code(settings.bits) + 1}, at::kFloat)) {}

Encoding CodebookWeight::encoding(const SlotInfo&) const {
  return Encoding::codebook(1 << settings_.bits, ScaleKind::none, true);
}

std::vector<SlotParameter> CodebookWeight::parameters() {
  return {{.name = "table", .tensor = table_, .trainable = false}};
}

LatentTraits CodebookWeight::latent_traits(const SlotInfo&) const {
  // The table follows the weights; decay would only pull both towards 0.
  return {.weight_decay = 0.0};
}

void CodebookWeight::set_table(const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = std::get<0>(at::sort(latent.reshape({latent.size(0), -1}), 1));
  const double last = static_cast<double>(rows.size(1) - 1);
  const at::Tensor ranks =
      at::linspace(0, last, table_.size(1), rows.options()).round_().to(at::kLong);
  table_.copy_(rows.index_select(1, ranks));
}

void CodebookWeight::initialize(const SlotContext&, at::Tensor& latent) {
  set_table(latent);
}

void CodebookWeight::observe(const SlotContext&, const at::Tensor& latent) {
  set_table(latent);
}

/// `rows` is [Cout, weights of a channel]. The code is the number of midpoints below the weight.
at::Tensor CodebookWeight::nearest(const at::Tensor& rows) const {
  const std::int64_t entries = table_.size(1);
  const at::Tensor middle =
      table_.slice(1, 0, entries - 1).add(table_.slice(1, 1, entries)).mul_(0.5);
  at::Tensor code = at::zeros(rows.sizes(), rows.options().dtype(at::kLong));
  for (std::int64_t k = 0; k + 1 < entries; ++k) {
    code.add_(at::gt(rows, middle.slice(1, k, k + 1)));
  }
  return code;
}

at::Tensor CodebookWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor rows = latent.detach().reshape({latent.size(0), -1});
  const at::Tensor code = nearest(rows);
  const at::Tensor value = at::gather(table_, 1, code).reshape(latent.sizes());
  if (context.mode == Mode::train) {
    const at::Tensor count = at::zeros_like(table_).scatter_add_(1, code, at::ones_like(rows));
    const at::Tensor sum = at::zeros_like(table_).scatter_add_(1, code, rows);
    // Cells keep their order, so each row stays ascending; an entry without weights does not move.
    const at::Tensor target = at::where(count.gt(0), sum.div(count.clamp_min(1)), table_);
    table_.lerp_(target, 0.1);
  }
  return StraightThrough::apply(value, latent);
}

void CodebookWeight::after_step(const SlotContext& context, at::Tensor& latent) {
  clip_when_quantized(settings_, context, latent);
}

Encoded CodebookWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes =
      nearest(latent.detach().reshape({latent.size(0), -1})).to(at::kByte).reshape(latent.sizes());
  encoded.table = table_.clone();
  return encoded;
}

namespace {

class WeightMethod : public Quantizer {
 public:
  explicit WeightMethod(const WeightSettings& settings) : settings_(settings) {}

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override {
    if (settings_.codebook) return std::make_unique<CodebookWeight>(settings_, slot);
    return std::make_unique<UniformWeight>(settings_, slot);
  }

  Traits traits() const override {
    Traits traits;
    traits.fold_batch_norm = settings_.fold_batch_norm;
    traits.needs_calibration = settings_.calibrate;
    if (settings_.float_epochs > 0) {
      traits.phases = {
          {.name = "float", .weights_quantized = false, .inputs_quantized = false},
          {.name = quantized_phase, .first_epoch = settings_.float_epochs},
      };
    }
    return traits;
  }

 private:
  WeightSettings settings_;
};

}  // namespace

QuantizerMethod weight_method() {
  return {
      .name = "contract_weight",
      .summary = "uniform levels with a learned step, or a codebook per channel",
      .paper = "Esser et al., LSQ, ICLR 2020, arXiv 1902.08153",
      .options =
          {
              Option::integer("bits", 3, "of a weight").at_least(1).at_most(8),
              Option::string("levels", "uniform", "how the levels are placed")
                  .one_of({"uniform", "codebook"}),
              Option::boolean("stochastic", false, "draw the code while training"),
              Option::boolean("fold_batch_norm", false, "quantize the folded weight"),
              Option::boolean("calibrate", false, "place the levels on the calibrated network"),
              Option::integer("float_epochs", 0, "epochs in float before the first quantized one")
                  .at_least(0),
              Option::real("clip", 1.0, "bound of the latent weights").above(0),
              Option::real("step_learning_rate", 0.1, "multiplies the learning rate of the step")
                  .above(0),
              Option::real("step_weight_decay", 1e-4, "of the step").at_least(0),
          },
      .roles = {Role::weight},
      .keep_float = {"last"},
      .create = [](const Options& options) -> std::unique_ptr<Quantizer> {
        return std::make_unique<WeightMethod>(WeightSettings::from(options));
      },
  };
}

}  // namespace qhost::contract
