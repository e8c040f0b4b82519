/// qhost/slot.h: the places of a network that a quantizer can take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qhost/export.h"
#include "qhost/graph.h"

namespace qhost {

/// What of a node is quantized. conv2d and linear have all three; add, concat, max_pool,
/// average_pool and global_average_pool have inputs.
enum class Role {
  weight,
  input,
  gradient  ///< of the loss with respect to the node's output, in training only
};
/// "weight", "input", "gradient".
QHOST_API const char* to_string(Role role);

/// What never changes about a slot.
struct SlotInfo {
  std::string node;  ///< scoped path of the node
  Op op = Op::conv2d;
  Role role = Role::weight;
  /// Role weight: the latent weight's shape, [Cout, Cin/groups, kh, kw] or [out, in].
  /// Role input: one sample's shape, {C, H, W} or {F}; role gradient: that of the node's output.
  std::vector<std::int64_t> shape;
  Size2 kernel, stride, padding;  ///< conv2d and poolings
  std::int64_t groups = 1;
  /// Index of the edge into the node: 0, or 0 and 1 for an add, 0.. for a concat.
  int edge = 0;
  /// Inputs of one output unit and outputs fed by one input: Cin/groups*kh*kw and
  /// Cout/groups*kh*kw.
  std::int64_t fan_in = 0, fan_out = 0;
  /// The node is the network's first, or last, conv2d or linear: what papers keep at more bits.
  bool first = false, last = false;
  /// Role input: no value of the edge is ever below 0, as the graph tells: behind a ReLU, say, also
  /// through pooling, dropout and concatenation. False where that is not known.
  bool non_negative = false;
};

}  // namespace qhost
