/// graph/relu_elision.h: where a quantizer of signed values must read when its edge stands behind a
/// ReLU.
///
/// The sign of a ReLU's output is constant, so binarizing it says nothing: the edge must read what
/// the ReLU reads. Between the ReLU and the edge only operations may stand that keep their meaning
/// on the codes: max pooling (the maximum commutes with any non-decreasing quantizer), flatten, and
/// dropout (which then acts on the codes, in training only).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qhost/graph.h"

namespace qhost {

struct ElidedDropout {
  int node = 0;
  double probability = 0;
};

/// How the edge is read instead: quantize(through(source)), then the dropouts in training.
struct ReluElision {
  int relu = 0;              ///< the ReLU that the edge no longer passes; others still read it
  int source = 0;            ///< the node that the ReLU reads, and now the edge
  std::vector<int> through;  ///< ids of max_pool and flatten nodes to apply, in this order
  std::vector<ElidedDropout> dropouts;  ///< in order
};

/// The elision at input `edge` (an index into node.inputs) of `node`, or nothing when the edge
/// is not behind a ReLU: it reads signed values already (a batch norm, the network's input, an
/// activation with a signed range, an add, concat or custom node, whose output is a value of its
/// own). Throws Error (configuration) that names the nodes when a ReLU is there but out of reach
/// (average pooling, subsampling or another activation in between), or when the edge reads the
/// never negative output of a relu6 or sigmoid.
std::optional<ReluElision> elide_relu(const Graph& graph, const Node& node, int edge = 0);

/// For the summary: "reads bn1 instead of relu1, through pool1; drop1 on the codes".
std::string to_string(const Graph& graph, const ReluElision& elision);

}  // namespace qhost
