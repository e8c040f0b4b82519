#include "common/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>

namespace qhost {
namespace {

constexpr char32_t replacement = 0xFFFD;

/// The length of the well-formed sequence at `position`; 0 if there is none.
std::size_t sequence_length(std::string_view text, std::size_t position, char32_t& code_point) {
  utf8proc_int32_t found = 0;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + position;
  const auto left = static_cast<utf8proc_ssize_t>(text.size() - position);
  const utf8proc_ssize_t length = utf8proc_iterate(bytes, left, &found);
  if (length <= 0) return 0;
  code_point = static_cast<char32_t>(found);
  return static_cast<std::size_t>(length);
}

utf8proc_category_t category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

bool is_bidirectional_mark(char32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  char32_t code_point = replacement;
  position += std::max<std::size_t>(1, sequence_length(text, position, code_point));
  return code_point;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    char32_t code_point = 0;
    const std::size_t length = sequence_length(text, position, code_point);
    if (length == 0) return position;
    position += length;
  }
  return std::nullopt;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t position = 0; position < text.size(); ++count) next_code_point(text, position);
  return count;
}

std::size_t code_point_offset(std::string_view text, std::size_t index) {
  std::size_t position = 0;
  while (index-- > 0 && position < text.size()) next_code_point(text, position);
  return position;
}

int display_width(char32_t code_point) {
  // A code point that this version of the library does not know, or that is shown escaped, takes
  // one column.
  const utf8proc_category_t kind = category(code_point);
  if (kind == UTF8PROC_CATEGORY_CN || kind == UTF8PROC_CATEGORY_CC) return 1;
  return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point));
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t position = 0; position < text.size();) {
    width += static_cast<std::size_t>(display_width(next_code_point(text, position)));
  }
  return width;
}

bool is_control(char32_t code_point) {
  const utf8proc_category_t kind = category(code_point);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP || is_bidirectional_mark(code_point);
}

std::string escape_controls(std::string_view text, bool keep_line_breaks) {
  std::string out;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    const char32_t code_point = next_code_point(text, position);
    if (code_point == '\n' && keep_line_breaks) {
      out += '\n';
    } else if (code_point == '\n') {
      out += "\\n";
    } else if (code_point == '\t') {
      out += "\\t";
    } else if (code_point == '\r') {
      out += "\\r";
    } else if (is_control(code_point)) {
      char buffer[16];
      std::snprintf(buffer, sizeof buffer, "\\u{%x}", static_cast<unsigned>(code_point));
      out += buffer;
    } else if (code_point == replacement) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(start, position - start);
    }
  }
  return out;
}

}  // namespace qhost
