/// lowering/passes/bypass_relu.h: an edge that wants signed values reads in front of the ReLU.
///
/// graph/relu_elision.h decides which edges, and why that is sound. The edge then reads
///     through_n(... through_1(source))      the max pools and flattens between ReLU and edge
/// where each of these is a node READER/THROUGH of its own (`repeats` names the network's), unless
/// an earlier edge made the same. The ReLU and what stood behind it stay for their other readers;
/// without any, drop_dead takes them out.
///
/// The first pass: a ReluElision's ids are those of start_graph() (Error, internal, where they are
/// not). Afterwards no edge has a elision.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

void bypass_relu(InferenceGraph& graph);

}  // namespace qhost
