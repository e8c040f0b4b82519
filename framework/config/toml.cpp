#include "config/toml.h"

#include <algorithm>
#include <sstream>
#include <tuple>

#include "common/utf8.h"

namespace qhost::config {
namespace {

std::string text_of(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_chronological<decltype(value)>) out << value.get();
  });
  return out.str();
}

}  // namespace

Span PlaceMap::span(const toml::source_region& region) const {
  Span span;
  span.file = source->name();
  span.source = source;
  span.line = static_cast<int>(region.begin.line) + line_offset;
  span.column = static_cast<int>(region.begin.column) + column_offset;
  // The span of a multi-line value ends at the end of its first line.
  const int end = region.end.line == region.begin.line
                      ? static_cast<int>(region.end.column) + column_offset
                      : static_cast<int>(count_code_points(source->line(span.line))) + 1;
  span.length = std::max(1, end - span.column);
  return span;
}

Table convert(const toml::table& table, const PlaceMap& places) {
  Table out;
  for (const auto& [key, node] : table) {
    Entry entry;
    entry.key = key.str();
    entry.key_span = places.span(key.source());
    entry.value = convert(node, places);
    const auto* inner = node.as_table();
    if (inner != nullptr && !inner->is_inline()) entry.value.span = entry.key_span;
    if (const auto* list = node.as_array(); list != nullptr && entry.value.span.line > 0) {
      // In [[name]], the parser's place is the bracket; the name is more helpful.
      const bool headers =
          !list->empty() && list->front().is_table() && !list->front().as_table()->is_inline();
      if (headers) entry.value.span = entry.key_span;
    }
    out.entries.push_back(std::move(entry));
  }
  std::stable_sort(out.entries.begin(), out.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.key_span.line, a.key_span.column) <
           std::tie(b.key_span.line, b.key_span.column);
  });
  return out;
}

Value convert(const toml::node& node, const PlaceMap& places) {
  Value out;
  out.span = places.span(node.source());
  if (const auto* table = node.as_table()) {
    out.data = convert(*table, places);
  } else if (const auto* list = node.as_array()) {
    Array array;
    for (const auto& element : *list) array.push_back(convert(element, places));
    out.data = std::move(array);
  } else if (const auto* boolean = node.as_boolean()) {
    out.data = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    out.data = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    out.data = number->get();
  } else if (const auto* string = node.as_string()) {
    out.data = string->get();
  } else {
    out.data = DateText{text_of(node)};
  }
  return out;
}

}  // namespace qhost::config
