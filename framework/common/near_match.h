/// common/near_match.h: "did you mean ...?" for every name that a user can type.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qhost {

/// The number of insertions, deletions, substitutions and swaps of neighbors that turn `a` into
/// `b`, ignoring case (restricted Damerau-Levenshtein distance: no part is edited twice).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidates within max(1, min(3, length of `word` / 3)) edits of `word`: at most three, the
/// nearest first; of equally near ones those of the same letters, then in the given order.
std::vector<std::string> near_matches(std::string_view word,
                                      const std::vector<std::string>& candidates);

}  // namespace qhost
