/// graph/non_negative.h: which values of a network can never be below 0.
///
/// A ReLU, ReLU6 or sigmoid gives such values; so does a leaky ReLU whose slope is not above 0.
/// Pooling, dropout, subsampling, flatten and every other activation keep what they read
/// non-negative; an add or a concat does where all of its inputs are. A convolution, a linear
/// layer, a batch norm and a custom node may give anything.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "qhost/graph.h"

namespace qhost {

/// What the graph alone does not tell.
struct KnownSigns {
  bool image = false;  ///< the network's input is never negative
  /// Edges (node, index into node.inputs) that are quantized to levels on both sides of 0, whatever
  /// they read.
  std::set<std::pair<int, int>> signed_edges;
};

/// By node id: whether its output is never negative.
std::vector<bool> non_negative_nodes(const Graph& graph, const KnownSigns& known = {});

}  // namespace qhost
