/// lowering/passes/count_networks.h: how often each node runs for one sample.
///
///     networks(node) = max(members of its weight, members of its inputs' encodings,
///                          networks of what it reads)
/// An ensemble samples the codes of a layer anew for each of its networks, so that the layer's
/// output, and all that is computed from it, differs from network to network; what comes before
/// runs once.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

void count_networks(InferenceGraph& graph);

}  // namespace qhost
