#include "lowering/passes/fold_batch_norm.h"

#include <set>

#include "common/defect.h"
#include "lowering/passes/add_correction_bias.h"
#include "qhost/error.h"

namespace qhost {
namespace {

void require_no_contents(const InferenceNode& node, const StoredTensor& weight) {
  if (!weight.has_contents()) return;
  throw defect("fold_batch_norm comes after the weight of " + node.name + " was stored");
}

void join_scale(Encoding& encoding) {
  if (!encoding.is_float() && !encoding.codebook_per_channel) encoding.scale = ScaleKind::channel;
}

}  // namespace

void fold_batch_norm(InferenceGraph& graph, FoldWhere where) {
  std::set<int> folded;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    InferenceNode& node = graph.nodes[i];
    const bool wanted =
        node.has_weight() && (where == FoldWhere::every_layer || node.folds_batch_norm);
    node.folds_batch_norm = false;
    if (!wanted) continue;
    const int norm = sole_batch_norm(graph, static_cast<int>(i));
    if (norm < 0) continue;
    StoredTensor& weight = *graph.tensor(node, "weight");
    require_no_contents(node, weight);
    if (where == FoldWhere::every_layer) join_scale(weight.encoding);
    node.folded_batch_norm = graph.node(norm).name;
    ensure_bias(graph, node);
    graph.redirect(norm, static_cast<int>(i));
    folded.insert(norm);
  }
  graph.remove_if([&](int index) { return folded.contains(index); });
}

}  // namespace qhost
