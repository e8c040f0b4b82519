#include "lowering/passes/drop_dead.h"

namespace qhost {

void drop_dead(InferenceGraph& graph) {
  std::vector<bool> is_read(graph.nodes.size(), false);
  is_read.at(0) = true;
  is_read.at(static_cast<std::size_t>(graph.output)) = true;
  // A node reads earlier ones: backwards, every reader comes before what it reads.
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    if (!is_read[i]) continue;
    for (const InferenceEdge& edge : graph.nodes[i].inputs) {
      is_read[static_cast<std::size_t>(edge.node)] = true;
    }
  }
  graph.remove_if([&](int index) { return !is_read[static_cast<std::size_t>(index)]; });
}

}  // namespace qhost
