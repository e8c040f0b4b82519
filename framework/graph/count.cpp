#include "graph/count.h"

#include <algorithm>
#include <numeric>

namespace qhost {
namespace {

std::int64_t values_of(const ParameterSpec& parameter) {
  return Shape{parameter.shape}.elements();
}

std::int64_t macs_of(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::conv2d:
    case Op::linear: {
      const ParameterSpec& weight = node.parameters.at(0);
      // Every output value takes one product for each weight of its unit.
      return node.shape.elements() * (values_of(weight) / weight.shape.at(0));
    }
    case Op::custom: {
      std::vector<Shape> shapes;
      for (int source : node.inputs) shapes.push_back(graph.node(source).shape);
      return node.as<std::shared_ptr<const CustomOpBase>>()->macs(shapes);
    }
    default:
      return 0;
  }
}

// The last node that reads each output; the network's output is read by the caller, after all.
std::vector<int> last_readers(const Graph& graph) {
  std::vector<int> last(graph.nodes().size());
  std::iota(last.begin(), last.end(), 0);
  for (const Node& node : graph.nodes()) {
    for (int source : node.inputs) last[static_cast<std::size_t>(source)] = node.id;
  }
  last[static_cast<std::size_t>(graph.output().id)] = static_cast<int>(graph.nodes().size());
  return last;
}

std::int64_t peak_of(const Graph& graph, const std::vector<Count>& counts) {
  const std::vector<int> last = last_readers(graph);
  std::int64_t live = 0, peak = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    live += counts[i].activation_bytes;
    peak = std::max(peak, live);
    for (std::size_t j = 0; j <= i; ++j) {
      if (last[j] == static_cast<int>(i)) live -= counts[j].activation_bytes;
    }
  }
  return peak;
}

}  // namespace

Count count(const Graph& graph, const Node& node) {
  Count result;
  for (const ParameterSpec& parameter : node.parameters) {
    (parameter.trainable ? result.parameters : result.buffers) += values_of(parameter);
  }
  result.macs = macs_of(graph, node);
  result.activation_bytes = node.shape.elements() * 4;
  return result;
}

GraphCount count(const Graph& graph) {
  GraphCount result;
  for (const Node& node : graph.nodes()) {
    result.nodes.push_back(count(graph, node));
    const Count& one = result.nodes.back();
    result.total.parameters += one.parameters;
    result.total.buffers += one.buffers;
    result.total.macs += one.macs;
    result.total.activation_bytes += one.activation_bytes;
  }
  result.peak_activation_bytes = peak_of(graph, result.nodes);
  return result;
}

}  // namespace qhost
