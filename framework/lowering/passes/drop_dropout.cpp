#include "lowering/passes/drop_dropout.h"

namespace qhost {

void drop_dropout(InferenceGraph& graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const InferenceNode& node = graph.nodes[i];
    if (node.op == Op::dropout) graph.redirect(static_cast<int>(i), node.inputs.at(0).node);
  }
  graph.remove_if([&](int index) { return graph.node(index).op == Op::dropout; });
}

}  // namespace qhost
