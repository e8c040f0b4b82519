/// graph/count.h: exact sizes and operation counts of a graph, for one sample.
#pragma once

#include <cstdint>
#include <vector>

#include "qhost/graph.h"

namespace qhost {

/// What one node costs.
struct Count {
  std::int64_t parameters = 0;  ///< trainable values: weights, biases, gamma, beta
  std::int64_t buffers = 0;     ///< other values the node keeps: running statistics
  /// Multiply-accumulates: conv2d Cout*Hout*Wout * Cin/groups*kh*kw; linear out*in; custom what it
  /// says; every other operation 0. Padding counts like any pixel; a bias does not count.
  std::int64_t macs = 0;
  std::int64_t activation_bytes = 0;  ///< of the output as float32

  bool operator==(const Count&) const = default;
};

struct GraphCount {
  std::vector<Count> nodes;  ///< by node id
  Count total;               ///< the sums; the network's input is among the activations
  /// The largest sum of live float32 activations while the nodes run in order: at a node its
  /// inputs, its output and every earlier output that is still to be read (nothing in place).
  std::int64_t peak_activation_bytes = 0;
};

Count count(const Graph& graph, const Node& node);
GraphCount count(const Graph& graph);

}  // namespace qhost
