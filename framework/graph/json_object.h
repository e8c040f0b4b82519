/// graph/json_object.h: reads JSON of a file that is not trusted, key by key. Every failure names the
/// file, the place in it and what was found.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/utf8.h"
#include "qhost/error.h"
#include "qhost/graph.h"

namespace qhost {

/// Where the JSON comes from, for messages.
struct JsonSource {
  std::string file;
  std::string help;
};

/// One object of the JSON: it knows where it stands, and which of its keys were asked for.
class JsonObject {
 public:
  JsonObject(const JsonSource& source, std::string place, const nlohmann::json& value)
      : source_(source), place_(std::move(place)), value_(value) {
    if (!value.is_object()) fail(std::string("is ") + value.type_name() + ", not an object");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::storage, source_.file + ": " + place_ + " " + escape_controls(what),
                source_.help);
  }

  bool has(const char* key) const { return value_.contains(key); }

  const nlohmann::json& at(const char* key) {
    known_.insert(key);
    const auto found = value_.find(key);
    if (found == value_.end()) fail(std::string("has no `") + key + "`");
    return *found;
  }

  std::int64_t integer(const char* key) {
    const nlohmann::json& value = at(key);
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{1} << 62)) {
      fail_type(key, value, "a whole number");
    }
    return value.get<std::int64_t>();
  }
  int small_integer(const char* key) {
    const std::int64_t value = integer(key);
    if (value < -(1 << 30) || value > (1 << 30)) {
      fail("has " + std::to_string(value) + " under `" + key + "`, beyond 30 bits");
    }
    return static_cast<int>(value);
  }
  double real(const char* key) {
    const nlohmann::json& value = at(key);
    if (!value.is_number()) fail_type(key, value, "a number");
    return value.get<double>();
  }
  bool boolean(const char* key) {
    const nlohmann::json& value = at(key);
    if (!value.is_boolean()) fail_type(key, value, "true or false");
    return value.get<bool>();
  }
  std::string string(const char* key) {
    const nlohmann::json& value = at(key);
    if (!value.is_string()) fail_type(key, value, "a string");
    return value.get<std::string>();
  }
  std::string optional_string(const char* key) { return has(key) ? string(key) : ""; }

  std::vector<std::int64_t> integers(const char* key) {
    const nlohmann::json& value = at(key);
    bool good = value.is_array();
    for (std::size_t i = 0; good && i < value.size(); ++i) {
      good = value[i].is_number_integer() && value[i].get<std::int64_t>() >= 0 &&
             value[i].get<std::int64_t>() <= std::int64_t{1} << 40;
    }
    if (!good) fail_type(key, value, "a list of sizes");
    return value.get<std::vector<std::int64_t>>();
  }
  Size2 size(const char* key) {
    const std::vector<std::int64_t> both = integers(key);
    if (both.size() != 2) fail_type(key, at(key), "[height, width]");
    return {both[0], both[1]};
  }

  /// The value of `all` that `text_of` turns into the word under the key.
  template <class Enum, std::size_t count, class Text>
  Enum word(const char* key, const Enum (&all)[count], const Text& text_of) {
    const std::string given = string(key);
    for (const Enum each : all) {
      if (given == text_of(each)) return each;
    }
    fail("has the unknown word `" + given + "` under `" + key + "`");
  }

  const nlohmann::json& array(const char* key) {
    const nlohmann::json& value = at(key);
    if (!value.is_array()) fail_type(key, value, "a list");
    return value;
  }
  JsonObject object(const char* key) { return {source_, place_ + "." + key, at(key)}; }

  /// After all keys were asked for: the others are unknown.
  void finish() const {
    for (const auto& [key, unused] : value_.items()) {
      if (!known_.contains(key)) fail("has the unknown key `" + key + "`");
    }
  }

  const std::string& place() const { return place_; }

 private:
  [[noreturn]] void fail_type(const char* key, const nlohmann::json& value,
                              const char* wanted) const {
    std::string shown = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (shown.size() > 40) shown = shown.substr(0, 40) + "...";
    fail(std::string("has ") + shown + " under `" + key + "`, not " + wanted);
  }

  const JsonSource& source_;
  std::string place_;
  const nlohmann::json& value_;
  std::set<std::string> known_;
};

}  // namespace qhost
