// Damaged and hostile safetensors files, each of some hundred bytes, and the reader's messages.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace qhost::storage {

struct BadContainer {
  std::string name;   ///< a test's name
  std::string bytes;  ///< the file
  std::string what;   ///< the first line of the message, after "FILE: "
  std::string found;  ///< the second line, after "  "
};

inline void PrintTo(const BadContainer& bad, std::ostream* out) {
  *out << bad.name;
}

/// 8 length bytes, `json`, `data`.
std::string container(const std::string& json, const std::string& data = "");

std::vector<BadContainer> bad_containers();

}  // namespace qhost::storage
