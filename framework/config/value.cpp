#include "config/value.h"

#include <algorithm>

#include "qhost/options.h"

namespace qhost::config {
namespace {

template <class Entries>
auto find_entry(Entries& entries, std::string_view key) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

struct KindName {
  const char* operator()(bool) const { return "a boolean"; }
  const char* operator()(std::int64_t) const { return "an integer"; }
  const char* operator()(double) const { return "a number"; }
  const char* operator()(const std::string&) const { return "a string"; }
  const char* operator()(const DateText&) const { return "a date or time"; }
  const char* operator()(const Array&) const { return "a list"; }
  const char* operator()(const Table&) const { return "a table"; }
};

struct Text {
  std::string operator()(const DateText& v) const { return v.text; }
  std::string operator()(const Array& v) const {
    std::string text = "[";
    for (std::size_t i = 0; i < v.size(); ++i) text += (i == 0 ? "" : ", ") + value_text(v[i]);
    return text + ']';
  }
  std::string operator()(const Table& v) const {
    std::string text = "{";
    for (std::size_t i = 0; i < v.entries.size(); ++i) {
      text += (i == 0 ? "" : ", ") + v.entries[i].key + " = " + value_text(v.entries[i].value);
    }
    return text + '}';
  }
  template <class T>
  std::string operator()(const T& v) const {
    return qhost::to_string(OptionValue(v));
  }
};

}  // namespace

Entry* Table::find(std::string_view key) {
  return find_entry(entries, key);
}
const Entry* Table::find(std::string_view key) const {
  return find_entry(entries, key);
}

void Table::erase(std::string_view key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
}

const char* kind_name(const Value& value) {
  return std::visit(KindName{}, value.data);
}
std::string value_text(const Value& value) {
  return std::visit(Text{}, value.data);
}

}  // namespace qhost::config
