/// runtime/arena.h: which bytes of one block of memory each value has, so that values which are
/// never needed at the same time share theirs.
#pragma once

#include <cstddef>
#include <vector>

namespace qhost::runtime {

/// Something that is written by operation `first` and read by operations up to `last`.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0, last = 0;
};

struct ArenaPlan {
  std::vector<std::size_t> offsets;  ///< multiples of 64
  std::size_t bytes = 0;
};

/// The largest first, each at the lowest place that is free for its lifetime. Beyond 4096 values, for
/// which that takes long: in the order of time, each in the smallest gap that holds it.
ArenaPlan plan_arena(const std::vector<Lifetime>& values);

}  // namespace qhost::runtime
