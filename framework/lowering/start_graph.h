/// lowering/start_graph.h: the inference graph before any pass: the network node by node, with the
/// encodings that its rules decided.
#pragma once

#include "graph/inference_graph.h"
#include "lowering/layer_plan.h"
#include "qhost/graph.h"

namespace qhost {

/// Node i of the result is node i of `graph`. Each parameter is a stored tensor NODE.PARAMETER
/// without contents: float32, or a weight as planned. What the passes are to carry out stands in
/// the nodes: `folds_batch_norm`, `corrects_bias`, `elision`. Plans of nodes that the network
/// does not have are passed over.
InferenceGraph start_graph(const Graph& graph, const LayerPlans& plans);

}  // namespace qhost
