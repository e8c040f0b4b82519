#include "model/layer_plans.h"

#include "model/plugin_call.h"
#include "model/slot_math.h"

namespace qhost {
namespace {

void add_note(LayerPlan& layer, const std::string& note) {
  layer.note += (layer.note.empty() ? "" : "; ") + note;
}

void add_slot(const Graph& graph, const PlannedSlot& slot, LayerPlans& plans) {
  LayerPlan& layer = plans[slot.info.node];
  if (slot.weight) {
    layer.weight =
        call_plugin(call_of(slot, "encoding"), [&] { return slot.weight->encoding(slot.info); });
    layer.weight_method = slot.method;
    layer.bias_correction = slot.traits.bias_correction;
    layer.folds_batch_norm = slot.traits.fold_batch_norm;
    return;
  }
  layer.input =
      call_plugin(call_of(slot, "encoding"), [&] { return slot.input->encoding(slot.info); });
  layer.input_method = slot.method;
  layer.edges.resize(graph.node(slot.node).inputs.size());
  layer.edges[static_cast<std::size_t>(slot.info.edge)] = {.encoding = layer.input,
                                                           .method = slot.method,
                                                           .elision = slot.elision,
                                                           .padding_value = slot.padding_value};
  if (slot.elision) layer.bypassed_relu = graph.node(slot.elision->relu).name;
}

}  // namespace

LayerPlans slot_plans(const Graph& graph, const Plan& plan, std::int64_t epoch) {
  LayerPlans plans;
  for (const PlannedSlot& slot : plan.slots) {
    if (is_active(slot, epoch)) add_slot(graph, slot, plans);
  }
  return plans;
}

LayerPlans layer_plans(const Graph& graph, const Plan& plan) {
  LayerPlans plans;
  for (const PlannedSlot& slot : plan.slots) {
    add_slot(graph, slot, plans);
    if (slot.elision) plans[slot.info.node].elision_note = to_string(graph, *slot.elision);
  }
  for (const auto& gradient : plan.gradients) {
    add_note(plans[gradient->info.node], "gradient: " + gradient->method + ", " +
                                             call_plugin(call_of(*gradient, "summary"), [&] {
                                               return gradient->quantizer->summary();
                                             }));
  }
  return plans;
}

}  // namespace qhost
