#include "lowering/passes/add_correction_bias.h"

namespace qhost {

int sole_batch_norm(const InferenceGraph& graph, int index) {
  const std::vector<int> readers = graph.readers(index);
  if (readers.size() != 1 || graph.node(readers[0]).op != Op::batch_norm) return -1;
  return readers[0];
}

void ensure_bias(InferenceGraph& graph, InferenceNode& node) {
  if (node.has_tensor("bias")) return;
  const std::string name = node.name + ".bias";
  node.tensors["bias"] = {name};
  graph.tensors[name] = {.encoding = Encoding::float32(), .shape = {node.shape.channels()}};
}

void add_correction_bias(InferenceGraph& graph, CorrectionPlace place) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    InferenceNode& node = graph.nodes[i];
    if (!node.corrects_bias) continue;
    node.corrects_bias = false;
    const bool taken = place == CorrectionPlace::batch_norm_behind &&
                       sole_batch_norm(graph, static_cast<int>(i)) >= 0;
    if (!taken) ensure_bias(graph, node);
  }
}

}  // namespace qhost
