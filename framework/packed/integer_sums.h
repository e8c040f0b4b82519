/// packed/integer_sums.h: which sums of a conv2d or linear step small integers can compute.
#pragma once

#include <optional>

#include "packed/program.h"

namespace qhost::packed {

/// Floats hold whole numbers up to this one.
inline constexpr double largest_exact_float = 1 << 24;

/// The code of `input` whose level the step's padding is; 0 without padding, empty if none is.
std::optional<int> padding_code(const Step& step, const Codes& input);

/// Bits on both sides: equal and different ones are counted.
bool has_binary_sums(const Step& step, const Codes& input);
/// Weights of 8 bits and sums that fit 32: within -128 and 127 units, one zero point for the input,
/// and a padding that is a level.
bool has_byte_sums(const Step& step, const Codes& input);

}  // namespace qhost::packed
