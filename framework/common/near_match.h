/// common/near_match.h: "did you mean ...?" for every name a user can type.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qhost {

/// Insertions, deletions, substitutions and swaps of neighbors that turn `a` into `b`, letter case
/// ignored (Damerau; the restricted form, in which no part is edited twice).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidates within max(1, min(3, length of `word` / 3)) edits of `word`: at most three, the
/// nearest first, equally near ones in the given order.
std::vector<std::string> near_matches(std::string_view word,
                                      const std::vector<std::string>& candidates);

}  // namespace qhost
