/// Evaluation: the inference graph of the weights as they are, and its interpretation.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>

#include "lowering/lower.h"
#include "lowering/start_graph.h"

#include "model/check_encoded.h"
#include "model/input_codes.h"
#include "model/layer_plans.h"
#include "model/model.h"
#include "model/operations.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"
#include "model/stored.h"
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
                      "would hide",
                  (variance ? "a batch with a single value per channel leaves a batch norm no "
                              "variance: set train.drop_last = true or another train.batch_size"
                            : "go back to an earlier checkpoint; a lower learning rate or "
                              "train.gradient_clip keeps training finite"));
    }
  }
}

Model::Frozen::Frozen(Model& owner, const RunPosition& at) : model(owner), position(at) {
  for (const Step& each : model.steps_) steps[each.node->name] = &each;
}

const Model::Step& Model::Frozen::step(const InferenceNode& node) const {
  return *steps.at(node.name);
}

at::Tensor Model::Frozen::interpret(const at::Tensor& x, const Interpretation& run,
                                    const RunPosition& at) {
  position = at;
  return interpreter->run(x, run);
}

EncodedInput Model::Frozen::encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                                   const Interpretation& run) {
  return model.encoded_input(*step(node).inputs.at(edge), position, run.network, x);
}

at::Tensor Model::Frozen::custom(const InferenceNode& node, const std::vector<at::Tensor>& inputs,
                                 const Interpretation&) {
  return model.custom_node(step(node), inputs, /*training=*/false, position).to(at::kFloat);
}

EncodedInput Model::encoded_input(const PlannedSlot& slot, const RunPosition& position, int network,
                                  const at::Tensor& x) {
  const NoAutocast guard(x.device().type());
  const PluginCall call = call_of(slot, "encode");
  const SlotContext now = context(slot.info, slot.traits, Mode::evaluate, position, network);
  const at::Tensor values = x.to(at::kFloat);
  EncodedInput encoded = call_plugin(call, [&] { return slot.input->encode(now, values); });
  const Encoding announced =
      call_plugin(call_of(slot, "encoding"), [&] { return slot.input->encoding(slot.info); });
  // Reading each code costs a pass over memory: once for each set of weights.
  const bool read = !frozen_->inputs_checked;
  std::string why = broken_promise(announced, encoded.codes, values.sizes(), 1,
                                   read ? EncodedCheck::form_and_values : EncodedCheck::form);
  const Node& node = graph_.node(slot.node);
  if (why.empty()) {
    why = broken_output_scale(announced, encoded.output_scale, values.size(0), node.shape);
  }
  if (!why.empty()) broke_word(call, why);
  record(slot_prefix(slot.info), encoded.codes);
  if (encoded.output_scale.defined() && node.op != Op::conv2d && node.op != Op::linear) {
    refuse_output_scale(call, node.op);
  }
  return encoded;
}

/// A method that keeps all members of an ensemble in one Encoded is asked once; another gives each
/// network a tensor of its own.
void Model::store_weight(Frozen& frozen, InferenceNode& node, const PlannedSlot& slot) {
  const at::Tensor weight = seen_weight(slot);
  const std::string name = node.tensors.at("weight").at(0);
  std::vector<std::string>& names = node.tensors.at("weight");
  names.clear();
  for (int network = 0; network < plan_.ensemble_size; ++network) {
    const Encoded codes = encoded_weight(
        slot, context(slot.info, slot.traits, Mode::evaluate, frozen.position, network), weight);
    if (network == 0) record(slot_prefix(slot.info), codes);
    names.push_back(network == 0 ? name : name + "/" + std::to_string(network));
    frozen.graph.tensors[names.back()] = stored(codes, weight.sizes());
    if (codes.encoding.ensemble_size > 1) break;
  }
}

void Model::fill(Frozen& frozen) {
  // In the network's order, which is that of the recorded codes.
  for (InferenceNode& node : frozen.graph.nodes) {
    if (!node.repeats.empty()) continue;
    const Step& step = frozen.step(node);
    const bool coded = step.weight != nullptr && is_active(*step.weight, frozen.position.epoch);
    for (std::size_t i = 0; i < step.parameters.size(); ++i) {
      const std::string& parameter = step.node->parameters[i].name;
      if (coded && parameter == "weight") continue;
      frozen.bound[node.tensors.at(parameter).at(0)] = step.parameters[i];
    }
    if (!coded) continue;
    store_weight(frozen, node, *step.weight);
    if (node.has_tensor("bias")) {
      frozen.bound[node.tensors.at("bias").at(0)] = bias_in_evaluation(*step.weight);
    }
  }
}

void Model::freeze(const RunPosition& position, bool any_value) {
  const bool current = frozen_ && frozen_->position.epoch == position.epoch &&
                       frozen_->position.seed == position.seed;
  if (current && (frozen_->finite || any_value)) return;
  const at::NoGradGuard no_grad;
  if (!plan_.slots.empty() && !any_value) require_finite_weights();
  if (current) {
    frozen_->finite = true;
    return;
  }
  auto frozen = std::make_unique<Frozen>(*this, position);
  frozen->finite = !any_value;
  frozen->graph =
      lower(start_graph(graph_, slot_plans(graph_, plan_, position.epoch)), Purpose::evaluation);
  frozen->graph.networks = plan_.ensemble_size;
  fill(*frozen);
  frozen->interpreter = std::make_unique<Interpreter>(frozen->graph, frozen->bound, *frozen,
                                                      options_.device, options_.channels_last);
  frozen_ = std::move(frozen);
}

at::Tensor Model::evaluate(const at::Tensor& x, const RunPosition& position,
                           InterpreterWatch* watch) {
  const at::NoGradGuard no_grad;
  if (record_codes_) {
    code_use_.clear();
    frozen_.reset();
  }
  freeze(position);
  at::Tensor sum = frozen_->interpret(x, {.watch = watch}, position);
  record_codes_ = false;
  for (int network = 1; network < plan_.ensemble_size; ++network) {
    sum = sum + frozen_->interpret(x, {.network = network}, position);
  }
  frozen_->inputs_checked = true;
  return plan_.ensemble_size > 1 ? sum / plan_.ensemble_size : sum;
}

InferenceGraph Model::inference_graph(const RunPosition& position) {
  const at::NoGradGuard no_grad;
  frozen_.reset();  // a caller may have written into state()
  freeze(position, /*any_value=*/true);
  InferenceGraph graph = frozen_->graph;
  for (const auto& [name, values] : frozen_->bound) graph.tensors.at(name) = stored(values);
  return graph;
}

InputCodesByEdge Model::input_codes(const RunPosition& position) {
  const at::NoGradGuard no_grad;
  freeze(position);
  InputCodesByEdge all;
  for (const InferenceNode& node : frozen_->graph.nodes) {
    for (std::size_t edge = 0; edge < node.inputs.size(); ++edge) {
      if (node.inputs[edge].method.empty()) continue;
      const PlannedSlot& slot = *frozen_->step(node).inputs.at(edge);
      all[{node.name, edge}] = find_input_codes(slot, [&](const at::Tensor& x) {
        return encoded_input(slot, position, 0, x.to(options_.device));
      });
    }
  }
  return all;
}

std::map<std::string, Encoded> Model::encoded_weights(const RunPosition& position) {
  const InferenceGraph graph = inference_graph(position);
  std::map<std::string, Encoded> result;
  for (const PlannedSlot& slot : plan_.slots) {
    if (!slot.weight || !is_active(slot, position.epoch)) continue;
    const InferenceNode& node = graph.node(graph.find(slot.info.node));
    result[slot.info.node] = encoded(*graph.tensor(node, "weight"), options_.device);
  }
  return result;
}

}  // namespace qhost
