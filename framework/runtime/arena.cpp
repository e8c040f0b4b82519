#include "runtime/arena.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace qhost::runtime {
namespace {

constexpr std::size_t most_compared = 4096;

std::size_t rounded(std::size_t bytes) {
  constexpr std::size_t alignment = 64;
  return std::max<std::size_t>((bytes + alignment - 1) / alignment, 1) * alignment;
}

/// The free bytes below `end`.
class Gaps {
 public:
  std::size_t take(std::size_t bytes) {
    const auto found = by_size_.lower_bound({bytes, 0});
    if (found == by_size_.end()) {
      end_ += bytes;
      return end_ - bytes;
    }
    const auto [size, offset] = *found;
    remove(by_offset_.find(offset));
    if (size > bytes) insert(offset + bytes, size - bytes);
    return offset;
  }
  void give(std::size_t offset, std::size_t bytes) {
    const auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + bytes) {
      bytes += next->second;
      remove(next);
    }
    const auto behind = by_offset_.lower_bound(offset);
    if (behind != by_offset_.begin()) {
      const auto before = std::prev(behind);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        remove(before);
      }
    }
    insert(offset, bytes);
  }
  std::size_t end() const { return end_; }

 private:
  void insert(std::size_t offset, std::size_t bytes) {
    by_offset_[offset] = bytes;
    by_size_.insert({bytes, offset});
  }
  void remove(std::map<std::size_t, std::size_t>::const_iterator gap) {
    by_size_.erase({gap->second, gap->first});
    by_offset_.erase(gap);
  }

  std::map<std::size_t, std::size_t> by_offset_;           ///< to size
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  ///< size, offset
  std::size_t end_ = 0;
};

ArenaPlan plan_in_time(const std::vector<Lifetime>& values, std::vector<std::size_t> order) {
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a].first < values[b].first; });
  ArenaPlan plan{.offsets = std::vector<std::size_t>(values.size())};
  Gaps gaps;
  std::set<std::pair<int, std::size_t>> living;  // last, value
  for (const std::size_t value : order) {
    while (!living.empty() && living.begin()->first < values[value].first) {
      const std::size_t dead = living.begin()->second;
      gaps.give(plan.offsets[dead], rounded(values[dead].bytes));
      living.erase(living.begin());
    }
    plan.offsets[value] = gaps.take(rounded(values[value].bytes));
    living.insert({values[value].last, value});
  }
  plan.bytes = gaps.end();
  return plan;
}

}  // namespace

ArenaPlan plan_arena(const std::vector<Lifetime>& values) {
  ArenaPlan plan{.offsets = std::vector<std::size_t>(values.size())};
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (values.size() > most_compared) return plan_in_time(values, std::move(order));
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
