/// lowering/passes/drop_dead.h: takes out the nodes that the output does not depend on, and their
/// tensors. The input node stays.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

void drop_dead(InferenceGraph& graph);

}  // namespace qhost
