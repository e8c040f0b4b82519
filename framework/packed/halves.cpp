#include "packed/halves.h"

#include <bit>
#include <cmath>

namespace qhost::packed {
namespace {

/// Without the lowest `bits` bits of the fraction, half to even. A carry goes into the exponent.
float without_bits(float x, int bits) {
  const auto pattern = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t odd = pattern >> bits & 1U;
  const std::uint32_t half = (1U << (bits - 1)) - 1 + odd;
  return std::bit_cast<float>((pattern + half) & ~((1U << bits) - 1));
}

}  // namespace

float from_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU, fraction = bits & 0x3FFU;
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 0xFFU : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

float rounded_to(CodeKind kind, float x) {
  if (!std::isfinite(x)) return x;
  if (kind == CodeKind::bfloat16) return without_bits(x, 16);
  constexpr float smallest_normal = 0x1p-14F, steps_of_2_to_minus_24 = 0.5F;
  const float size = std::abs(x);
  const float value = size < smallest_normal
                          ? (size + steps_of_2_to_minus_24) - steps_of_2_to_minus_24
                          : without_bits(size, 13);
  constexpr float beyond_the_largest = 65536;
  return std::copysign(value < beyond_the_largest ? value : INFINITY, x);
}

}  // namespace qhost::packed
