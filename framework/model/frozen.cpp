/// What evaluation computes with: each weight slot's codes, made once per set of weights.
#include <algorithm>
#include <array>

#include "model/check_encoded.h"
#include "model/model.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"
#include "qhost/error.h"

namespace qhost {
namespace {

double most_frequent_share(const Encoded& encoded) {
  const at::Tensor codes = encoded.codes.reshape(-1).to(at::kCPU, at::kByte);
  std::array<std::int64_t, 256> counts{};
  const auto* data = codes.data_ptr<std::uint8_t>();
  for (std::int64_t i = 0; i < codes.numel(); ++i) ++counts[data[i]];
  return static_cast<double>(*std::max_element(counts.begin(), counts.end())) /
         static_cast<double>(std::max<std::int64_t>(codes.numel(), 1));
}

/// What the slot stores of `weight`, held against what it announced.
Encoded encoded_weight(const PlannedSlot& slot, const SlotContext& context,
                       const at::Tensor& weight) {
  const PluginCall call = call_of(slot, "encode");
  require_finite(call, weight);
  Encoded encoded = call_plugin(call, [&] { return slot.weight->encode(context, weight); });
  const Encoding announced =
      call_plugin(call_of(slot, "encoding"), [&] { return slot.weight->encoding(slot.info); });
  const std::string why =
      broken_promise(announced, encoded, weight.sizes(), 0, EncodedCheck::form_and_values);
  if (!why.empty()) broke_word(call, why);
  require_finite(call, encoded);
  return encoded;
}

}  // namespace

void Model::record(const std::string& slot, const Encoded& encoded) {
  if (!record_codes_ || encoded.encoding.is_float()) return;
  code_use_.push_back({slot, most_frequent_share(encoded)});
}

at::Tensor Model::seen_weight(const PlannedSlot& slot) const {
  const at::Tensor& latent = steps_[static_cast<std::size_t>(slot.node)].parameters.at(0);
  if (slot.folded_batch_norm < 0) return latent;
  const Step& norm = steps_[static_cast<std::size_t>(slot.folded_batch_norm)];
  return per_filter(fold_factor(*norm.node, norm.parameters), latent);
}

at::Tensor Model::bias_in_evaluation(const PlannedSlot& slot) const {
  const Step& step = steps_[static_cast<std::size_t>(slot.node)];
  at::Tensor bias = step.parameters.size() > 1 ? step.parameters[1] : at::Tensor();
  if (slot.folded_batch_norm >= 0) {
    const Step& norm = steps_[static_cast<std::size_t>(slot.folded_batch_norm)];
    at::Tensor mean = norm.parameters.at(2);
    if (bias.defined()) mean = mean - bias;
    bias = norm.parameters.at(1) - mean * fold_factor(*norm.node, norm.parameters);
  }
  if (!step.bias_correction.defined()) return bias;
  return bias.defined() ? bias + step.bias_correction : step.bias_correction;
}

void Model::require_finite_weights() const {
  for (const Step& step : steps_) {
    // The slot's own weight, folded or not, is checked when it is encoded.
    for (std::size_t i = step.weight != nullptr ? 1 : 0; i < step.parameters.size(); ++i) {
      if (at::isfinite(step.parameters[i]).all().item<bool>()) continue;
      const std::string& parameter = step.node->parameters[i].name;
      // Behind a finite mean: of activations that overflow the mean is not finite either.
      const bool variance = step.node->op == Op::batch_norm && parameter == "running_var" &&
                            at::isnan(step.parameters[i]).any().item<bool>();
      throw Error(ErrorKind::diverged,
                  step.node->name + "." + parameter +
                      " holds values that are not finite, which the codes of a quantized network "
                      "would hide\nhelp: " +
                      (variance ? "a batch with a single value per channel leaves a batch norm no "
                                  "variance: set train.drop_last = true or another train.batch_size"
                                : "go back to an earlier checkpoint; a lower learning rate or "
                                  "train.gradient_clip keeps training finite"));
    }
  }
}

void Model::freeze_slot(const PlannedSlot& slot, const RunPosition& position) {
  const Step& step = steps_[static_cast<std::size_t>(slot.node)];
  const at::Tensor weight = seen_weight(slot);
  const at::Tensor bias = bias_in_evaluation(slot);
  auto& members = frozen_->weights[slot.node];
  members.clear();
  Encoded encoded;
  at::Tensor all_levels;
  for (int member = 0; member < plan_.ensemble_size; ++member) {
    // A method that keeps all members in one Encoded is asked once.
    if (member == 0 || encoded.encoding.ensemble_size == 1) {
      encoded = encoded_weight(
          slot, context(slot.info, slot.traits, Mode::evaluate, position, member), weight);
      all_levels = levels(encoded);
    }
    if (member == 0) record(slot_prefix(slot.info), encoded);
    at::Tensor level = all_levels;
    at::Tensor scale = encoded.scale;
    if (encoded.encoding.ensemble_size > 1) level = level[member % encoded.encoding.ensemble_size];
    if (scale.defined()) scale = over_channels(scale, step.node->op);
    members.push_back(
        {.levels = level.contiguous(weight.suggest_memory_format()), .scale = scale, .bias = bias});
  }
}

void Model::freeze(const RunPosition& position) {
  if (frozen_ && frozen_->epoch == position.epoch && frozen_->seed == position.seed) return;
  const at::NoGradGuard no_grad;
  if (!plan_.slots.empty()) require_finite_weights();
  frozen_ = std::make_unique<Frozen>();
  frozen_->epoch = position.epoch;
  frozen_->seed = position.seed;
  try {
    for (const PlannedSlot& slot : plan_.slots) {
      if (slot.weight && is_active(slot, position.epoch)) freeze_slot(slot, position);
    }
  } catch (...) {
    frozen_.reset();  // half of it must not pass for the whole
    throw;
  }
}

std::map<std::string, Encoded> Model::encoded_weights(const RunPosition& position) {
  const at::NoGradGuard no_grad;
  std::map<std::string, Encoded> result;
  for (const PlannedSlot& slot : plan_.slots) {
    if (!slot.weight || !is_active(slot, position.epoch)) continue;
    result[slot.info.node] = encoded_weight(
        slot, context(slot.info, slot.traits, Mode::evaluate, position, 0), seen_weight(slot));
  }
  return result;
}

}  // namespace qhost
