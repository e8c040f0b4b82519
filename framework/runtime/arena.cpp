#include "runtime/arena.h"

#include <algorithm>
#include <numeric>

namespace qhost::runtime {

ArenaPlan plan_arena(const std::vector<Lifetime>& values) {
  constexpr std::size_t alignment = 64;
  const auto rounded = [](std::size_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
  };
  ArenaPlan plan{.offsets = std::vector<std::size_t>(values.size())};
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a].bytes > values[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t value : order) {
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const bool meet =
          values[value].first <= values[other].last && values[other].first <= values[value].last;
      if (!meet) continue;
      if (offset + rounded(values[value].bytes) <= plan.offsets[other]) break;
      offset = std::max(offset, plan.offsets[other] + rounded(values[other].bytes));
    }
    plan.offsets[value] = offset;
    plan.bytes = std::max(plan.bytes, offset + rounded(values[value].bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), value,
                                   [&](std::size_t a, std::size_t b) {
                                     return plan.offsets[a] < plan.offsets[b];
                                   }),
                  value);
  }
  return plan;
}

}  // namespace qhost::runtime
