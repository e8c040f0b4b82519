// tests/images/golden.h: what Pillow makes of images (tools/golden/pillow.py).
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qhost::tests {

inline nlohmann::json pillow() {
  std::ifstream file(QHOST_SOURCE_DIR "/tests/images/golden/pillow.json");
  return nlohmann::json::parse(file);
}

/// The bytes of hexadecimal digits.
template <class Bytes>
Bytes from_hex(const std::string& digits) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<typename Bytes::value_type>(
        std::stoi(digits.substr(i, 2), nullptr, /*base=*/16)));
  }
  return bytes;
}

/// noise() of the script.
inline std::vector<std::uint8_t> noise(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint8_t> values;
  for (std::uint64_t state = seed; values.size() < count;) {
    state = (1103515245 * state + 12345) % (std::uint64_t{1} << 31);
    values.push_back(static_cast<std::uint8_t>(state >> 16 & 255));
  }
  return values;
}

}  // namespace qhost::tests
