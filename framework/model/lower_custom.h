/// model/lower_custom.h: custom nodes in operations that a packed file has.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

/// The graph with each custom node that has a lowering (qhost/custom.h) replaced by it: the nodes
/// NODE/NAME, the last of which is called NODE. Others stay. `graph` has contents. Throws Error
/// (plugin) for a lowering that does not fit its node, and as plugin_call.h says.
InferenceGraph lower_custom_nodes(const InferenceGraph& graph);

}  // namespace qhost
