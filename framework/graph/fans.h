/// graph/fans.h: fan-in and fan-out of a weighted node.
#pragma once

#include <cstdint>
#include <vector>

#include "qhost/graph.h"

namespace qhost {

/// in = Cin/groups*kh*kw, the inputs of one output unit; out = Cout/groups*kh*kw, the outputs that
/// one input feeds.
struct Fans {
  std::int64_t in = 0, out = 0;
};

/// Of a conv2d or linear node; throws std::bad_variant_access for another.
Fans fans(const Node& node);
/// Of any weight [out, in/groups, kernel...] (two or more dimensions), as a custom node may own.
Fans fans(const std::vector<std::int64_t>& weight_shape, std::int64_t groups = 1);

}  // namespace qhost
