/// common/lines.h: texts of several lines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace qhost {

/// The text up to its first line break.
std::string first_line(const std::string& text);
/// The text without spaces at the start of its lines, and without empty lines.
std::string without_indents(const std::string& text);
/// The text without line breaks at its end.
std::string without_last_breaks(std::string text);

/// The text in lines of at most `width` columns, broken at blanks, which go; a longer word has a
/// line of its own. At least one line.
std::vector<std::string> wrapped(const std::string& text, std::size_t width);
/// The columns of the longest word.
std::size_t longest_word(const std::string& text);

}  // namespace qhost
