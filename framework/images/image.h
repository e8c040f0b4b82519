/// images/image.h: an image of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qhost::images {

struct Image {
  std::int64_t width = 0, height = 0;
  std::int64_t channels = 0;         ///< 1: gray, 3: red, green, blue
  std::vector<std::uint8_t> pixels;  ///< [height][width][channels]

  bool operator==(const Image&) const = default;
};

/// "640x480": width, height.
inline std::string size_text(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

}  // namespace qhost::images
