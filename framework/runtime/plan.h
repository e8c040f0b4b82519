/// runtime/plan.h: the operations that compute a program, and the memory that they need.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "packed/program.h"
#include "runtime/op.h"

namespace qhost::runtime {

/// Not copied: operations point to places.
struct Plan {
  Plan() = default;
  Plan(Plan&&) = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  std::vector<std::unique_ptr<Op>> ops;
  std::deque<FloatPlace> floats;
  std::deque<CodePlace> codes;
  /// By step: where its value lies after a run of a plan that was made with `merge` false. Null: it
  /// has none of that kind.
  struct StepPlaces {
    const FloatPlace* floats = nullptr;
    const CodePlace* bits = nullptr;
    const CodePlace* bytes = nullptr;
  };
  std::vector<StepPlaces> steps;
  std::size_t arena_bytes = 0;
};

/// What a plan may need, so that a small file cannot demand the memory of the machine: bytes of
/// values for one image, and bytes of weights and tables in the form of the kernels, whose indices
/// have 31 bits.
inline constexpr std::size_t most_arena_bytes = std::size_t{1} << 30;
inline constexpr std::size_t most_constant_bytes = std::size_t{1} << 31;

/// Throws Error (storage) with both numbers if it needs more than the limits. The program must be
/// sound (packed::why_invalid). `merge` false: every step has operations of its
/// own and every float value stays until the end, so that each can be looked at.
Plan make_plan(const packed::Program& program, bool merge = true);

}  // namespace qhost::runtime
