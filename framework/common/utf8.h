/// common/utf8.h: UTF-8 and its width on a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace qhost {

/// The code point at `position`, which moves behind it. A byte that is not valid UTF-8 counts as
/// one code point U+FFFD. Overlong forms, surrogates and values above U+10FFFF are not valid.
char32_t next_code_point(std::string_view text, std::size_t& position);
/// The offset of the first byte that is not valid UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);
std::size_t count_code_points(std::string_view text);
/// The byte offset of code point number `index`, from 0; the size of the text if there are fewer.
std::size_t code_point_offset(std::string_view text, std::size_t index);

/// The columns on a terminal: 0 for combining marks, 2 for East Asian wide forms and emoji, else 1;
/// an invalid byte counts 1. The Unicode version is that of libutf8proc, and the locale has no
/// effect: wcwidth() in the C locale knows only ASCII.
int display_width(char32_t code_point);
std::size_t display_width(std::string_view text);
/// True for characters that could control a terminal or reorder a line: C0, C1 and bidirectional
/// marks.
bool is_control(char32_t code_point);
/// Writes controls as `\u{1b}` (`\t`, `\n`, `\r` by those names) and invalid bytes as U+FFFD. With
/// `keep_line_breaks`, LF is unchanged.
std::string escape_controls(std::string_view text, bool keep_line_breaks = false);

}  // namespace qhost
