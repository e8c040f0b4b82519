#include "lowering/passes/count_networks.h"

#include <algorithm>

namespace qhost {

void count_networks(InferenceGraph& graph) {
  for (InferenceNode& node : graph.nodes) {
    node.networks = 1;
    if (const StoredTensor* weight = graph.tensor(node, "weight")) {
      node.networks = weight->encoding.ensemble_size;
    }
    for (const InferenceEdge& edge : node.inputs) {
      node.networks =
          std::max({node.networks, edge.encoding.ensemble_size, graph.node(edge.node).networks});
    }
  }
}

}  // namespace qhost
