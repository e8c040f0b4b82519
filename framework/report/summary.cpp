#include "report/summary.h"

#include "common/defect.h"
#include "graph/count.h"
#include "lowering/lower.h"
#include "lowering/start_graph.h"
#include "qhost/error.h"
#include "sdk/describe.h"

namespace qhost::report {
namespace {

constexpr std::int64_t float_size = 4;

bool has_weight(const Node& node) {
  return node.op == Op::conv2d || node.op == Op::linear;
}

void require_valid(const Encoding& encoding, const Node& node, const char* role,
                   const std::string& method) {
  const std::string fault = why_invalid(encoding);
  if (fault.empty()) return;
  throw Error(ErrorKind::configuration,
              "the quantizer `" + method + "` gives " + node.name + " an inconsistent " + role +
                  " encoding: " + fault,
              "correct what its encoding() returns");
}

void require_plans_fit(const Graph& graph, const LayerPlans& by_node) {
  for (const auto& [name, plan] : by_node) {
    const Node* node = graph.find(name);
    if (node == nullptr) {
      throw defect("a summary plans the node `" + name + "`, which the network does not have");
    }
    if (plan.weight && !has_weight(*node)) {
      throw defect("a summary plans a weight of `" + name + "` (" + to_string(node->op) +
                   "), which has none");
    }
    if (plan.weight) require_valid(*plan.weight, *node, "weight", plan.weight_method);
    if (plan.input) require_valid(*plan.input, *node, "input", plan.input_method);
  }
}

/// All that the node stores.
std::int64_t bytes_of(const InferenceGraph& stored, const InferenceNode& node) {
  std::int64_t bytes = 0;
  for (const auto& [parameter, unused] : node.tensors) {
    const StoredTensor& tensor = *stored.tensor(node, parameter);
    bytes += stored_bytes(tensor.encoding, tensor.shape);
  }
  return bytes;
}

SummaryLayer layer_of(const Graph& graph, const InferenceGraph& stored, const Node& node,
                      const LayerPlan& plan) {
  const InferenceNode& inference = stored.node(node.id);  // no node was taken out
  const Count counts = count(graph, node);
  SummaryLayer layer;
  layer.name = node.name;
  layer.op = to_string(node.op);
  layer.detail = describe(node);
  layer.output = node.shape;
  layer.parameters = counts.parameters;
  layer.buffers = counts.buffers;
  layer.macs = counts.macs;
  layer.activation_bytes = counts.activation_bytes;
  layer.weight_method = plan.weight_method;
  layer.input_method = plan.input_method;
  layer.elision_note = plan.elision_note;
  layer.note = plan.note;
  layer.input = plan.input;
  layer.float_bytes = float_size * (counts.parameters + counts.buffers);
  layer.bytes = bytes_of(stored, inference);
  if (has_weight(node)) {
    const StoredTensor& weight = *stored.tensor(inference, "weight");
    layer.weight = weight.encoding;
    layer.input = inference.inputs.at(0).encoding;
    layer.weight_bytes = stored_bytes(weight.encoding, weight.shape);
    layer.float_weight_bytes = float_size * weight.elements();
    layer.added_bias = inference.has_tensor("bias") && node.parameters.size() == 1;
  }
  return layer;
}

bool is_quantized(const std::optional<Encoding>& encoding) {
  return encoding && *encoding != Encoding::float32();
}

void add(Summary& summary, const SummaryLayer& layer) {
  summary.parameters += layer.parameters;
  summary.buffers += layer.buffers;
  summary.macs += layer.macs;
  summary.bytes += layer.bytes;
  summary.float_bytes += layer.float_bytes;
  summary.weight_bytes += layer.weight_bytes;
  summary.float_weight_bytes += layer.float_weight_bytes;
  summary.quantized_weights += is_quantized(layer.weight) ? 1 : 0;
  summary.quantized_inputs += is_quantized(layer.input) ? 1 : 0;
}

double mean_bits(const std::vector<SummaryLayer>& layers) {
  double values = 0, bits = 0;
  for (const SummaryLayer& layer : layers) {
    if (!layer.weight) continue;
    const double n = static_cast<double>(layer.float_weight_bytes / float_size);
    values += n;
    bits += n * layer.weight->bits_per_weight();
  }
  return values > 0 ? bits / values : 0;
}

double mean_input_bits(const Graph& graph, const std::vector<SummaryLayer>& layers) {
  double values = 0, bits = 0;
  for (const SummaryLayer& layer : layers) {
    if (!layer.weight) continue;
    const Node& node = *graph.find(layer.name);
    const auto n = static_cast<double>(graph.node(node.inputs.at(0)).shape.elements());
    values += n;
    bits += n * layer.input->bits_per_weight();
  }
  return values > 0 ? bits / values : 0;
}

}  // namespace

Summary summarize(const Graph& graph, const LayerPlans& by_node) {
  require_plans_fit(graph, by_node);
  const InferenceGraph stored = lower(start_graph(graph, by_node), Purpose::summary);
  Summary summary;
  summary.input = graph.input().shape;
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::input) continue;
    const auto plan = by_node.find(node.name);
    summary.layers.push_back(
        layer_of(graph, stored, node, plan == by_node.end() ? LayerPlan{} : plan->second));
    add(summary, summary.layers.back());
  }
  summary.bits_per_weight = mean_bits(summary.layers);
  summary.bits_per_input = mean_input_bits(graph, summary.layers);
  const GraphCount counts = count(graph);
  summary.activation_bytes = counts.total.activation_bytes;
  summary.peak_activation_bytes = counts.peak_activation_bytes;
  return summary;
}

}  // namespace qhost::report
