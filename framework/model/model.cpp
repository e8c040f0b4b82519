#include "model/model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "common/number_text.h"
#include "graph/tensor_name.h"
#include "lowering/lower.h"
#include "lowering/start_graph.h"
#include "model/backward_watch.h"
#include "model/initialize.h"
#include "model/operations.h"
#include "model/plugin_call.h"
#include "model/steps.h"
#include "qhost/error.h"

namespace qhost {
std::string slot_prefix(const SlotInfo& slot) {
  std::string name = slot.node + "/" + to_string(slot.role);
  if (slot.edge > 0) name += std::to_string(slot.edge);
  return name;
}

namespace {

at::MemoryFormat layout(const std::vector<std::int64_t>& shape, const ModelOptions& options) {
  return shape.size() == 4 && options.channels_last ? at::MemoryFormat::ChannelsLast
                                                    : at::MemoryFormat::Contiguous;
}

/// What a quantizer keeps is named NODE/ROLE.NAME, and no node's name holds a slash.
bool belongs_to_slot(const NamedTensor& entry) {
  return entry.name.find('/') != std::string::npos;
}

/// Lines about tensors. A wrong network differs in hundreds, of which a few show the kind.
class TensorLines {
 public:
  explicit TensorLines(std::string word) : word_(std::move(word)) {}
  void add(const std::string& line) { lines_.push_back("\n  " + word_ + ": " + line); }
  bool empty() const { return lines_.empty(); }
  std::string text() const {
    const std::size_t shown = lines_.size() > most_ ? most_ - 1 : lines_.size();
    std::string all;
    for (std::size_t i = 0; i < shown; ++i) all += lines_[i];
    if (shown < lines_.size()) {
      all += "\n  " + word_ + ": " + std::to_string(lines_.size() - shown) + " more";
    }
    return all;
  }

 private:
  static constexpr std::size_t most_ = 3;
  std::string word_;
  std::vector<std::string> lines_;
};

void require_same_tensors(const std::vector<NamedTensor>& wanted,
                          const std::map<std::string, at::Tensor>& tensors,
                          const std::map<std::string, std::string>& names_there) {
  TensorLines mis_shaped("other shape"), unexpected("unexpected"), missing("missing");
  std::set<std::string> known;
  for (const NamedTensor& entry : wanted) {
    known.insert(entry.name);
    const auto there = names_there.find(entry.name);
    const bool renamed = there != names_there.end() && there->second != entry.name;
    const std::string name = entry.name + (renamed ? " (there " + there->second + ")" : "");
    const auto found = tensors.find(entry.name);
    if (found == tensors.end()) {
      missing.add(name + " " + shape_text(entry.tensor.sizes()));
    } else if (found->second.sizes() != entry.tensor.sizes()) {
      mis_shaped.add(name + " is " + shape_text(found->second.sizes()) + " in the file and " +
                     shape_text(entry.tensor.sizes()) + " in the network");
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name)) unexpected.add(name + " " + shape_text(tensor.sizes()));
  }
  if (mis_shaped.empty() && unexpected.empty() && missing.empty()) return;
  throw Error(ErrorKind::data, "the weights are those of another network:" + mis_shaped.text() +
                                   unexpected.text() + missing.text());
}

/// What the slot keeps, checked before a name or a tensor of it enters the model's state.
std::vector<SlotParameter> parameters_of(const PlannedSlot& slot) {
  const PluginCall call = call_of(slot, "parameters");
  std::vector<SlotParameter> all = call_plugin(
      call, [&] { return slot.weight ? slot.weight->parameters() : slot.input->parameters(); });
  std::set<std::string> names;
  for (const SlotParameter& parameter : all) {
    if (parameter.name.empty() || !names.insert(parameter.name).second) {
      broke_word(call, "the name \"" + parameter.name + "\" is " +
                           (parameter.name.empty() ? "empty" : "given twice"));
    }
    if (!parameter.tensor.defined() || parameter.tensor.scalar_type() != at::kFloat) {
      broke_word(call, "\"" + parameter.name + "\" is " +
                           (parameter.tensor.defined() ? "not float32" : "no tensor"));
    }
  }
  return all;
}

}  // namespace

Model::Model(Graph graph, Plan plan, const ModelOptions& options)
    : graph_(std::move(graph)),
      plan_(std::move(plan)),
      options_(options),
      backward_watch_(std::make_shared<BackwardWatch>()) {
  add_steps();
  for (const PlannedSlot& slot : plan_.slots) add_slot(slot);
  for (const auto& gradient : plan_.gradients) {
    steps_[static_cast<std::size_t>(gradient->node)].gradient = gradient;
  }
  const std::vector<std::vector<int>> readers = readers_of_values();
  find_values_to_overwrite(readers);
  find_nodes_behind_elisions();
  find_last_reads(readers);
}

void Model::add_steps() {
  for (const Node& node : graph_.nodes()) {
    Step step;
    step.node = &node;
    step.inputs.assign(node.inputs.size(), nullptr);
    for (const ParameterSpec& spec : node.parameters) {
      at::Tensor tensor =
          at::zeros(spec.shape, at::TensorOptions(at::kFloat).device(options_.device))
              .contiguous(layout(spec.shape, options_));
      tensor.set_requires_grad(spec.trainable);
      step.parameters.push_back(tensor);
      state_.push_back({.name = node.name + "." + spec.name,
                        .tensor = tensor,
                        .trainable = spec.trainable,
                        .decayed = spec.decayed});
    }
    steps_.push_back(std::move(step));
  }
}

void Model::add_slot(const PlannedSlot& slot) {
  if (slot.weight) {
    add_weight_slot(slot);
  } else {
    steps_[static_cast<std::size_t>(slot.node)].inputs[static_cast<std::size_t>(slot.info.edge)] =
        &slot;
  }
  add_slot_state(slot);
}

void Model::add_weight_slot(const PlannedSlot& slot) {
  steps_[static_cast<std::size_t>(slot.node)].weight = &slot;
  const LatentTraits traits = call_plugin(call_of(slot, "latent_traits"),
                                          [&] { return slot.weight->latent_traits(slot.info); });
  for (NamedTensor& entry : state_) {
    if (entry.name != slot.info.node + ".weight") continue;
    entry.learning_rate_multiplier = traits.learning_rate_multiplier;
    entry.weight_decay = traits.weight_decay;
  }
  if (slot.folded_batch_norm < 0) return;
  const Node& norm = graph_.node(slot.folded_batch_norm);
  const auto& options = norm.as<BatchNormOptions>();
  const bool divides = slot.traits.fold_in_training;
  if (options.affine && !(divides && options.gamma_init == Initialization::zeros)) return;
  throw Error(
      ErrorKind::configuration,
      slot.info.node + ": `" + slot.method + "` folds the batch norm " + norm.name +
          ", which needs a learned gamma that does not start at 0",
      "keep " + slot.info.node + " in float, or build " + norm.name + " with gamma_init = ones");
}

void Model::add_slot_state(const PlannedSlot& slot) {
  for (SlotParameter& parameter : parameters_of(slot)) {
    if (!parameter.tensor.is_cpu() || options_.device != at::kCPU) {
      parameter.tensor.set_data(parameter.tensor.detach().to(options_.device));
    }
    parameter.tensor.set_requires_grad(parameter.trainable);
    state_.push_back({.name = slot_prefix(slot.info) + "." + parameter.name,
                      .tensor = parameter.tensor,
                      .trainable = parameter.trainable,
                      .decayed = false,
                      .learning_rate_multiplier = parameter.learning_rate_multiplier,
                      .weight_decay = parameter.weight_decay});
  }
  if (!slot.weight || !slot.traits.bias_correction) return;
  Step& step = steps_[static_cast<std::size_t>(slot.node)];
  step.bias_correction =
      at::zeros({slot.info.shape.at(0)}, at::TensorOptions(at::kFloat).device(options_.device));
  state_.push_back({.name = slot_prefix(slot.info) + ".bias_correction",
                    .tensor = step.bias_correction,
                    .trainable = false});
}

/// By value: every node that may read it, in front of an elided ReLU or not.
std::vector<std::vector<int>> Model::readers_of_values() const {
  std::vector<std::vector<int>> readers(steps_.size());
  for (const Node& node : graph_.nodes()) {
    for (const int input : node.inputs) readers[static_cast<std::size_t>(input)].push_back(node.id);
  }
  for (const PlannedSlot& slot : plan_.slots) {
    if (!slot.elision) continue;
    readers[static_cast<std::size_t>(slot.elision->source)].push_back(slot.node);
  }
  return readers;
}

/// A ReLU overwrites what it reads when nobody else reads it: one pass over memory less.
void Model::find_values_to_overwrite(const std::vector<std::vector<int>>& readers) {
  for (Step& step : steps_) {
    const bool relu = step.node->op == Op::activation &&
                      step.node->as<ActivationOptions>().kind == Activation::relu;
    if (!relu && step.node->op != Op::add) continue;
    const int source = step.node->inputs[0];
    const bool has_slot = std::any_of(step.inputs.begin(), step.inputs.end(),
                                      [](const PlannedSlot* slot) { return slot != nullptr; });
    step.overwrites_input = !has_slot && readers[static_cast<std::size_t>(source)].size() == 1 &&
                            output_is_free(graph_.node(source).op);
  }
}

/// What nobody reads while every edge that elides a ReLU does.
void Model::find_nodes_behind_elisions() {
  LayerPlans plans;
  for (const PlannedSlot& slot : plan_.slots) {
    if (!slot.elision) continue;
    LayerPlan& plan = plans[slot.info.node];
    plan.edges.resize(graph_.node(slot.node).inputs.size());
    plan.edges[static_cast<std::size_t>(slot.info.edge)].elision = slot.elision;
  }
  if (plans.empty()) return;
  const InferenceGraph left = lower(start_graph(graph_, plans), Purpose::training);
  for (Step& step : steps_) step.behind_elision_only = left.find(step.node->name) < 0;
}

void Model::find_last_reads(const std::vector<std::vector<int>>& readers) {
  frees_.resize(steps_.size());
  for (std::size_t value = 0; value < steps_.size(); ++value) {
    if (static_cast<int>(value) == graph_.output().id || readers[value].empty()) continue;
    const int last = *std::max_element(readers[value].begin(), readers[value].end());
    frees_[static_cast<std::size_t>(last)].push_back(static_cast<int>(value));
  }
}

Model::~Model() = default;

void Model::initialize(const RunPosition& position,
                       const std::map<std::string, at::Tensor>* weights,
                       const std::set<std::string>& drawn) {
  const at::NoGradGuard no_grad;
  if (weights != nullptr) require_weights(*weights, {}, drawn);
  draw_parameters(position.seed);
  if (weights != nullptr) {
    for (NamedTensor& entry : state_) {
      if (belongs_to_slot(entry) || drawn.contains(node_of_tensor(entry.name))) continue;
      entry.tensor.copy_(weights->at(entry.name));
    }
  }
  for (const PlannedSlot& slot : plan_.slots) {
    SlotContext at_start = context(slot.info, slot.traits, Mode::train, position, 0);
    at_start.pretrained = weights != nullptr && !drawn.contains(slot.info.node);
    call_plugin(call_of(slot, "initialize"), [&] {
      if (slot.weight) {
        slot.weight->initialize(at_start,
                                steps_[static_cast<std::size_t>(slot.node)].parameters.at(0));
      } else {
        slot.input->initialize(at_start);
      }
    });
  }
  frozen_.reset();
}

void Model::draw_parameters(std::uint64_t seed) {
  for (Step& step : steps_) {
    const Node& node = *step.node;
    const std::int64_t groups = node.op == Op::conv2d ? node.as<Conv2dOptions>().groups : 1;
    for (std::size_t i = 0; i < step.parameters.size(); ++i) {
      const ParameterSpec& spec = node.parameters[i];
      // A bias takes its fans from its node's weight.
      const auto& weight = spec.shape.size() > 1 ? spec.shape : node.parameters.front().shape;
      // The purpose keeps its first spelling: it decides the bits of every run.
      draw(step.parameters[i], spec.init, weight, groups,
           Random::keyed(seed, node.name + "." + spec.name, "initialise"));
    }
  }
}

void Model::require_weights(const std::map<std::string, at::Tensor>& weights,
                            const std::map<std::string, std::string>& names_there,
                            const std::set<std::string>& drawn) const {
  std::vector<NamedTensor> own;
  for (const NamedTensor& entry : state_) {
    if (!belongs_to_slot(entry) && !drawn.contains(node_of_tensor(entry.name)))
      own.push_back(entry);
  }
  require_same_tensors(own, weights, names_there);
}

void Model::load(const std::map<std::string, at::Tensor>& tensors) {
  require_same_tensors(state_, tensors, {});
  const at::NoGradGuard no_grad;
  // copy_ keeps the destination's strides: a latent weight has one layout for life.
  for (NamedTensor& entry : state_) entry.tensor.copy_(tensors.at(entry.name));
  frozen_.reset();
}

SlotContext Model::context(const SlotInfo& slot, const Traits& traits, Mode mode,
                           const RunPosition& position, int member) const {
  SlotContext context;
  context.slot = &slot;
  context.mode = mode;
  for (const Phase& phase : traits.phases) {
    if (phase.first_epoch <= position.epoch) context.phase = phase.name;
  }
  context.epoch = position.epoch;
  context.epochs = position.epochs;
  context.step = position.step;
  context.steps = position.steps;
  context.member = member;
  context.seed = position.seed;
  return context;
}

void Model::after_step(const RunPosition& position) {
  const at::NoGradGuard no_grad;
  for (const PlannedSlot& slot : plan_.slots) {
    const SlotContext now = context(slot.info, slot.traits, Mode::train, position, 0);
    call_plugin(call_of(slot, "after_step"), [&] {
      if (slot.weight) {
        slot.weight->after_step(now, steps_[static_cast<std::size_t>(slot.node)].parameters.at(0));
      } else {
        slot.input->after_step(now);
      }
    });
  }
  frozen_.reset();
}

}  // namespace qhost
