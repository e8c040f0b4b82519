#include "static.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/zeros.h>

#include "checks.h"
#include "qhost/error.h"
#include "slots_taken.h"

namespace qhost::ptq {
namespace {

constexpr const char* static_name = "ptq_static";

class Static : public Quantizer {
 public:
  explicit Static(const StaticSettings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<StaticWeight>(settings_);
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (!takes_input(slot.op, settings_.joins, settings_.pools)) return nullptr;
    return std::make_unique<StaticInput>(settings_);
  }
  Traits traits() const override {
    Traits traits;
    traits.fold_batch_norm = settings_.fold_batch_norm;
    traits.fold_in_training = settings_.training == Training::quantized;
    traits.needs_calibration = true;
    traits.bias_correction = settings_.bias_correction;
    return traits;
  }

 private:
  StaticSettings settings_;
};

ObserverKind observer_kind(const std::string& text) {
  if (text == "min_max") return ObserverKind::min_max;
  if (text == "moving_average") return ObserverKind::moving_average;
  if (text == "percentile") return ObserverKind::percentile;
  return ObserverKind::histogram;
}

}  // namespace

StaticSettings StaticSettings::from(const Options& options) {
  StaticSettings s;
  s.weight_bits = static_cast<int>(options.integer("weight_bits"));
  s.weight_per_channel = options.string("weight_scale") == "channel";
  s.weight_restricted = options.string("weight_range") == "restricted";
  s.input_bits = static_cast<int>(options.integer("input_bits"));
  if (options.boolean("reduce_range")) {
    if (s.input_bits == 2) {
      throw OptionError("reduce_range",
                        "reduce_range takes one of input_bits = 2 and leaves 1, fewer than the 2 "
                        "that a range needs",
                        "set reduce_range = false or input_bits = 3");
    }
    --s.input_bits;
  }
  s.input_symmetric = options.string("input_scheme") == "symmetric";
  s.observer.kind = observer_kind(options.string("observer"));
  s.observer.averaging_constant = options.real("averaging_constant");
  s.observer.percentile = options.real("percentile");
  if (options.string("search_levels") == "bits") s.observer.search_levels = 1 << s.input_bits;
  s.observe_training = options.string("observe") == "training";
  s.training = training_from(options);
  s.fold_batch_norm = options.boolean("fold_batch_norm");
  s.bias_correction = options.boolean("bias_correction");
  s.joins = options.boolean("joins");
  s.pools = options.boolean("pools");
  const bool counts =
      s.observer.kind == ObserverKind::histogram || s.observer.kind == ObserverKind::percentile;
  if (counts && s.observe_training && s.training == Training::quantized) {
    throw OptionError("observer",
                      "observer = \"" + options.string("observer") +
                          "\" with observe = \"training\" and training = \"quantized\" would "
                          "search a histogram for each input in each step",
                      "set observer = \"moving_average\", or observe = \"calibration\"");
  }
  return s;
}

CodeRange StaticWeight::code_range() const {
  return settings_.weight_restricted ? CodeRange::restricted_bits(settings_.weight_bits)
                                     : CodeRange::signed_bits(settings_.weight_bits);
}

Encoding StaticWeight::encoding(const SlotInfo&) const {
  return Encoding::uniform(settings_.weight_bits,
                           settings_.weight_per_channel ? ScaleKind::channel : ScaleKind::tensor,
                           ZeroPointKind::tensor);
}

AffineParams StaticWeight::params(const at::Tensor& latent) const {
  const at::NoGradGuard no_grad;
  const at::Tensor w = latent.detach();
  const auto [low, high] =
      settings_.weight_per_channel ? at::aminmax(w.reshape({w.size(0), -1}), 1) : at::aminmax(w);
  return symmetric_params(low, high, code_range());
}

at::Tensor StaticWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  if (rests_as_float(settings_.training, context)) return latent;
  return fake_quantize(latent, params(latent), code_range(), 0);
}

Encoded StaticWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  return encode_affine(latent, params(latent), code_range(), encoding(*context.slot), 0);
}

StaticInput::StaticInput(const StaticSettings& settings)
    : settings_(settings),
      observer_(make_observer(settings.observer)),
      epoch_(at::zeros({}, at::kFloat)) {}

CodeRange StaticInput::code_range() const {
  return settings_.input_symmetric ? CodeRange::signed_bits(settings_.input_bits)
                                   : CodeRange::unsigned_bits(settings_.input_bits);
}

Encoding StaticInput::encoding(const SlotInfo&) const {
  return Encoding::uniform(settings_.input_bits, ScaleKind::tensor, ZeroPointKind::tensor);
}

std::vector<SlotParameter> StaticInput::parameters() {
  std::vector<SlotParameter> all = observer_->parameters();
  all.push_back({.name = "epoch", .tensor = epoch_, .trainable = false});
  return all;
}

void StaticInput::see(const SlotContext& context, const at::Tensor& x) {
  require_finite(static_name, *context.slot, x);
  observer_->observe(x);
}

void StaticInput::observe(const SlotContext& context, const at::Tensor& x) {
  if (context.step == 0) {  // a calibration begins
    observer_->restart();
    epoch_.zero_();
  }
  see(context, x);
}

AffineParams StaticInput::params(const SlotContext& context, const at::Tensor& like) {
  const at::NoGradGuard no_grad;
  const std::string where = slot_text(*context.slot);
  if (observer_->batches() == 0) {
    throw Error(ErrorKind::configuration,
                std::string(static_name) + ": " + where +
                    " has no range: its observer has seen 0 batches, and needs 1",
                "calibrate the network ([calibration] batches), or set observe = \"training\" and "
                "train it");
  }
  const ValueRange seen = observer_->range();
  const AffineParams found = settings_.input_symmetric
                                 ? symmetric_params(seen.low, seen.high, code_range())
                                 : affine_params(seen.low, seen.high, code_range());
  return {found.scale.to(like.device()), found.zero_point.to(like.device())};
}

QuantizedInput StaticInput::forward(const SlotContext& context, const at::Tensor& x) {
  if (context.mode == Mode::train && settings_.observe_training) {
    // The average forgets by itself; the others would keep the first epochs' outliers for ever.
    const auto epoch = static_cast<float>(context.epoch + 1);
    if (settings_.observer.kind != ObserverKind::moving_average && epoch_.item<float>() != epoch) {
      observer_->restart();
    }
    epoch_.fill_(epoch);
    see(context, x.detach());
  }
  if (rests_as_float(settings_.training, context)) return {.value = x};
  return {.value = fake_quantize(x, params(context, x), code_range(), 1)};
}

EncodedInput StaticInput::encode(const SlotContext& context, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  // An infinity saturates like any large value; of a NaN there is no code.
  if (at::isnan(x).any().item<bool>()) require_finite(static_name, *context.slot, x);
  EncodedInput result;
  result.codes = encode_affine(x, params(context, x), code_range(), encoding(*context.slot), 1);
  return result;
}

QuantizerMethod static_method() {
  return {
      .name = "ptq_static",
      .summary = "integer weights and inputs with calibrated ranges, batch norms folded",
      .paper = "Krishnamoorthi, arXiv 1806.08342; Jacob et al., arXiv 1712.05877",
      .options =
          {
              Option::integer("weight_bits", 8, "of a weight").at_least(2).at_most(8),
              Option::string("weight_scale", "channel", "what shares one scale of a weight")
                  .one_of({"channel", "tensor"}),
              Option::string("weight_range", "full",
                             "full: -128 .. 127 for 8 bits; restricted: -127 .. 127")
                  .one_of({"full", "restricted"}),
              Option::integer("input_bits", 8, "of an input").at_least(2).at_most(8),
              Option::string("input_scheme", "affine",
                             "affine: unsigned codes with a zero point; symmetric: signed codes")
                  .one_of({"affine", "symmetric"}),
              Option::boolean("reduce_range", false, "inputs use one bit less than input_bits"),
              Option::string("observer", "histogram", "what decides the range of an input")
                  .one_of({"min_max", "moving_average", "histogram", "percentile"}),
              Option::real("averaging_constant", 0.01, "of moving_average: share of a new batch")
                  .above(0)
                  .at_most(1),
              Option::real("percentile", 99.99, "of percentile: values that stay, in percent")
                  .above(0)
                  .at_most(100),
              Option::string("search_levels", "256",
                             "of histogram: 256 as in PyTorch, whatever the bits; bits: 2^bits")
                  .one_of({"256", "bits"}),
              Option::string("observe", "training",
                             "what observers see besides the calibration; training: each training "
                             "batch; calibration: nothing")
                  .one_of({"training", "calibration"}),
              Option::boolean("fold_batch_norm", true,
                              "quantize the weights with the batch norm "
                              "folded in"),
              Option::boolean("bias_correction", false,
                              "give each channel back what rounding its weights took from its "
                              "mean over the calibration's images; for a trained network")
                  .from_paper("Nagel et al., 1906.04721, section 4.2"),
              training_option(),
              joins_option(),
              pools_option(),
          },
      .roles = {Role::weight, Role::input},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<Static>(StaticSettings::from(given));
      },
  };
}

}  // namespace qhost::ptq
