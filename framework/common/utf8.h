/// common/utf8.h: UTF-8 as a terminal shows it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace qhost {

/// The code point at `position`, which advances behind it. A byte that is no UTF-8 counts as one
/// code point U+FFFD. Overlong forms, surrogates and values above U+10FFFF are no UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& position);
/// The offset of the first byte that is no UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);
std::size_t count_code_points(std::string_view text);
/// The byte offset of the code point number `index`, from 0; the text's size beyond its end.
std::size_t code_point_offset(std::string_view text, std::size_t index);

/// Columns that a terminal uses: 0 for combining marks, 2 for East Asian wide forms and emoji, else
/// 1; a byte that is no UTF-8 counts 1. By the Unicode version of libutf8proc, whatever the locale:
/// wcwidth() of the C locale knows ASCII alone.
int display_width(char32_t code_point);
std::size_t display_width(std::string_view text);
/// Controls that could steer a terminal or reorder a line, C0, C1 and bidirectional marks.
bool is_control(char32_t code_point);
/// `\u{1b}` for controls (`\t`, `\n`, `\r` by those names), U+FFFD for what is no UTF-8. With
/// `keep_line_breaks` LF stays.
std::string escape_controls(std::string_view text, bool keep_line_breaks = false);

}  // namespace qhost
