/// runtime/conv_op.h: a conv2d or linear step with what follows it in the same pass.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "runtime/ops.h"
#include "runtime/pack_weights.h"

namespace qhost::runtime {

/// What becomes of the sums; an empty list or a null place is a part that is left out. Lists have
/// one entry for each output channel.
struct ConvTail {
  std::vector<std::int32_t> sum_thresholds, sum_direction;
  const FloatPlace* position = nullptr;  ///< one channel
  std::vector<float> scale, bias;
  const FloatPlace* residual = nullptr;
  std::vector<float> thresholds, direction;
  bool relu = false;
  const FloatPlace* out = nullptr;
  const CodePlace* bits = nullptr;
};

using PackedConv = std::variant<std::unique_ptr<PackedBinary>, std::unique_ptr<PackedInteger>,
                                std::unique_ptr<PackedFloat>>;

/// `codes` for binary and integer convolutions, `floats` for float ones.
OpPointer conv_op(PackedConv conv, const CodePlace* codes, const FloatPlace* floats, ConvTail tail);

}  // namespace qhost::runtime
