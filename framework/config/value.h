/// config/value.h: a TOML document as a tree in which every key and value knows its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/diagnostic.h"

namespace qhost::config {

struct Value;
struct Entry;

using Array = std::vector<Value>;

/// Key-value pairs in the order of the file, each key once.
struct Table {
  std::vector<Entry> entries;
  Entry* find(std::string_view key);
  const Entry* find(std::string_view key) const;
  /// Removes the entry, if there is one.
  void erase(std::string_view key);
};

/// A date or time. No option takes one, so its text is sufficient.
struct DateText {
  std::string text;
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, DateText, Array, Table> data;
  Span span;                     ///< for a table: its name in the header, or the inline table
  std::vector<Span> overridden;  ///< the values that this one replaced, the latest first

  const Table* table() const { return std::get_if<Table>(&data); }
  Table* table() { return std::get_if<Table>(&data); }
  const Array* array() const { return std::get_if<Array>(&data); }
  Array* array() { return std::get_if<Array>(&data); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data); }
  const std::string* string() const { return std::get_if<std::string>(&data); }
};

struct Entry {
  std::string key;
  Span key_span;
  Value value;
};

/// "an integer", "a table", ...
const char* kind_name(const Value& value);
/// The value as TOML text on one line.
std::string value_text(const Value& value);

}  // namespace qhost::config
