#include "lowering/start_graph.h"

namespace qhost {
namespace {

std::vector<InferenceEdge> edges_of(const Graph& graph, const Node& node, const LayerPlan& plan) {
  std::vector<InferenceEdge> edges;
  for (std::size_t e = 0; e < node.inputs.size(); ++e) {
    InferenceEdge edge{.node = node.inputs[e]};
    if (e < plan.edges.size()) {
      edge.encoding = plan.edges[e].encoding.value_or(Encoding::float32());
      edge.method = plan.edges[e].method;
      edge.elision = plan.edges[e].elision;
      edge.padding_value = plan.edges[e].padding_value;
    } else if (plan.input) {
      edge.encoding = *plan.input;
      edge.method = plan.input_method;
    }
    if (plan.edges.empty() && !plan.bypassed_relu.empty()) {
      edge.elision = elide_relu(graph, node, static_cast<int>(e));
      const bool is_it = edge.elision && graph.node(edge.elision->relu).name == plan.bypassed_relu;
      if (!is_it) edge.elision.reset();
    }
    edges.push_back(std::move(edge));
  }
  return edges;
}

}  // namespace

InferenceGraph start_graph(const Graph& graph, const LayerPlans& plans) {
  static const LayerPlan as_it_is;
  InferenceGraph result;
  result.output = graph.output().id;
  for (const Node& node : graph.nodes()) {
    const auto found = plans.find(node.name);
    const LayerPlan& plan = found == plans.end() ? as_it_is : found->second;
    InferenceNode lowered{.name = node.name, .op = node.op, .options = node.options};
    lowered.inputs = edges_of(graph, node, plan);
    lowered.shape = node.shape;
    if (const auto* custom = std::get_if<std::shared_ptr<const CustomOpBase>>(&node.options)) {
      lowered.custom_type = (*custom)->type();
    }
    for (const ParameterSpec& parameter : node.parameters) {
      const std::string name = node.name + "." + parameter.name;
      lowered.tensors[parameter.name] = {name};
      result.tensors[name] = {.encoding = Encoding::float32(), .shape = parameter.shape};
    }
    if (lowered.has_weight()) {
      if (plan.weight) result.tensor(lowered, "weight")->encoding = *plan.weight;
      lowered.method = plan.weight_method;
      lowered.folds_batch_norm = plan.folds_batch_norm;
      lowered.corrects_bias = plan.bias_correction;
    }
    result.nodes.push_back(std::move(lowered));
  }
  return result;
}

}  // namespace qhost
