/// runtime/pack_weights.h: weights in logical order ([Cout, Cin/groups, kh, kw], row-major) in the
/// layouts of runtime/kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/kernels.h"

namespace qhost::runtime {

/// A BinaryConv with what it points to. `shape` and the pointers of `conv` are set.
struct PackedBinary {
  BinaryConv conv;
  std::vector<std::uint32_t> weights;
  std::vector<std::int32_t> border_sums;
  std::vector<int> row_case, column_case;
};
/// `codes`: 0 or 1 for each element. `padding`: 0, -1 or +1.
PackedBinary pack_binary(const ConvShape& shape, const std::vector<std::uint8_t>& codes,
                         int padding);

struct PackedInteger {
  IntegerConv conv;
  std::vector<std::int8_t> weights;
  std::vector<std::int32_t> offset;
};
/// sum = factor * (sum of weight * code) - shift * (sum of all weights of the channel).
PackedInteger pack_integer(const ConvShape& shape, const std::vector<std::int8_t>& weights,
                           std::int32_t factor, std::int32_t shift);

struct PackedFloat {
  FloatConv conv;
  std::vector<float> weights;
};
PackedFloat pack_float(const ConvShape& shape, const std::vector<float>& weights);

}  // namespace qhost::runtime
