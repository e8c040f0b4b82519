#include "common/near_match.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace qhost {
namespace {

bool equal_letters(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin(), equal_letters);
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows are sufficient: a swap refers to the row before the last.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = previous[j - 1] + (equal_letters(a[i - 1], b[j - 1]) ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && equal_letters(a[i - 1], b[j - 2]) &&
          equal_letters(a[i - 2], b[j - 1])) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

std::vector<std::string> near_matches(std::string_view word,
                                      const std::vector<std::string>& candidates) {
  const std::size_t limit = std::max<std::size_t>(1, std::min<std::size_t>(3, word.size() / 3));
  std::vector<std::pair<std::size_t, const std::string*>> near;
  for (const std::string& candidate : candidates) {
    // The difference of the lengths is a lower bound, which makes a long hostile word cheap.
    const std::size_t shorter = std::min(word.size(), candidate.size());
    if (std::max(word.size(), candidate.size()) - shorter > limit) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance <= limit) near.emplace_back(distance, &candidate);
  }
  // Of equally near names, one of the same letters first: "bnw" is bwn rather than bnn.
  const auto rank = [&](const auto& entry) {
    return std::pair(entry.first, !same_letters(word, *entry.second));
  };
  std::stable_sort(near.begin(), near.end(),
                   [&](const auto& x, const auto& y) { return rank(x) < rank(y); });
  std::vector<std::string> result;
  for (const auto& [distance, candidate] : near) {
    if (result.size() == 3) break;
    result.push_back(*candidate);
  }
  return result;
}

}  // namespace qhost
