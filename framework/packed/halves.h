/// packed/halves.h: the floats of 16 bits.
#pragma once

#include <cstdint>

#include "qhost/encoding.h"

namespace qhost::packed {

/// The value of a float16 of IEEE 754, by its bits.
float from_half(std::uint16_t bits);

/// The nearest value of `kind`, float16 or bfloat16; of two, the one with an even last bit. What
/// would be rounded beyond the largest finite value becomes infinity; NaN stays.
float rounded_to(CodeKind kind, float x);

}  // namespace qhost::packed
