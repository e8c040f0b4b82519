/// lowering/pack/rewrite.h: what the passes over a packed program share.
#pragma once

#include <cstddef>
#include <vector>

#include "packed/program.h"

namespace qhost::packing {

/// Every step that reads `from`, and the output, reads `to` instead.
void redirect(packed::Program& program, int from, int to);
/// The one step that reads `index`, once; -1 if there are others, none, or if it is the output.
int sole_reader(const packed::Program& program, int index);
/// The entry for channel `c` of a list with one for all or one per channel.
template <class Number>
Number of_channel(const std::vector<Number>& list, std::int64_t c) {
  return list[list.size() == 1 ? 0 : static_cast<std::size_t>(c)];
}
/// Threshold j of channel `c` of an encode step.
float threshold(const packed::Step& encode, std::int64_t c, int j);
inline bool has_weight(const packed::Step& step) {
  return step.weight.has_value();
}

}  // namespace qhost::packing
