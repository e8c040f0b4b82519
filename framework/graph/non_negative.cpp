#include "graph/non_negative.h"

namespace qhost {
namespace {

/// Whether the output is never negative, all inputs being so or not.
bool is_non_negative(const Node& node, bool inputs) {
  switch (node.op) {
    case Op::activation: {
      const auto& options = node.as<ActivationOptions>();
      switch (options.kind) {
        case Activation::relu:
        case Activation::relu6:
        case Activation::sigmoid:
          return true;
        case Activation::leaky_relu:
          return inputs || options.slope <= 0;
        case Activation::hardtanh:
        case Activation::tanh:
        case Activation::silu:
        case Activation::gelu:
          return inputs;
      }
      return false;
    }
    case Op::add:
    case Op::concat:
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
    case Op::dropout:
    case Op::subsample:
    case Op::flatten:
      return inputs;
    case Op::input:
    case Op::conv2d:
    case Op::linear:
    case Op::batch_norm:
    case Op::custom:
      return false;
  }
  return false;
}

}  // namespace

std::vector<bool> non_negative_nodes(const Graph& graph, const KnownSigns& known) {
  std::vector<bool> result(graph.nodes().size(), false);
  for (const Node& node : graph.nodes()) {  // a node reads earlier ones
    bool inputs = true;
    for (std::size_t e = 0; e < node.inputs.size(); ++e) {
      inputs = inputs && result[static_cast<std::size_t>(node.inputs[e])] &&
               !known.signed_edges.contains({node.id, static_cast<int>(e)});
    }
    const bool image = node.op == Op::input && known.image;
    result[static_cast<std::size_t>(node.id)] = image || is_non_negative(node, inputs);
  }
  return result;
}

}  // namespace qhost
