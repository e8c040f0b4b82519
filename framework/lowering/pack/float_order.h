/// lowering/pack/float_order.h: the finite floats as integers in their order, and the search for the
/// first of them that a condition holds for.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace qhost::packing {

/// Of the largest finite float; its negative is that of the smallest.
inline constexpr std::int64_t largest_order = 0x7F7FFFFF;

/// 0 for both zeros, 1 for the smallest float above, and so on.
inline std::int64_t order_of(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto magnitude = static_cast<std::int64_t>(bits & 0x7FFFFFFFU);
  return (bits >> 31) != 0 ? -magnitude : magnitude;
}
inline float float_of(std::int64_t order) {
  const std::uint32_t sign = order < 0 ? 0x80000000U : 0;
  return std::bit_cast<float>(sign | static_cast<std::uint32_t>(order < 0 ? -order : order));
}

/// The bounds of a search for the first order at which something holds that holds for all above
/// it, too.
struct FloatSearch {
  std::int64_t fails = -largest_order - 1, holds = largest_order + 1;
  bool done() const { return holds - fails == 1; }
  std::int64_t middle() const { return fails + (holds - fails) / 2; }
  void take(std::int64_t order, bool does_hold) { (does_hold ? holds : fails) = order; }
  /// -infinity if it holds everywhere, +infinity if nowhere.
  float result() const {
    if (holds == -largest_order) return -std::numeric_limits<float>::infinity();
    if (holds == largest_order + 1) return std::numeric_limits<float>::infinity();
    return float_of(holds);
  }
};

template <class Condition>
float first_float(const Condition& condition) {
  FloatSearch search;
  while (!search.done()) {
    const std::int64_t middle = search.middle();
    search.take(middle, condition(float_of(middle)));
  }
  return search.result();
}

}  // namespace qhost::packing
