/// common/lines.h: texts of several lines.
#pragma once

#include <string>

namespace qhost {

/// The text up to its first line break.
std::string first_line(const std::string& text);
/// The text without spaces at the start of its lines, and without empty lines.
std::string without_indents(const std::string& text);
/// The text without line breaks at its end.
std::string without_last_breaks(std::string text);

}  // namespace qhost
