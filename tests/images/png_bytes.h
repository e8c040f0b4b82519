// tests/images/png_bytes.h: an image as a PNG file.
#pragma once

#include <zlib.h>

#include <string>

#include "images/image.h"

namespace qhost::tests {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 255U);
  return bytes;
}

inline std::string png_chunk(const std::string& kind, const std::string& data) {
  const std::string both = kind + data;
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + both +
         big_endian(static_cast<std::uint32_t>(sum));
}

inline const std::string png_signature = "\x89PNG\r\n\x1a\n";

/// 8 bits, gray or color, as the image has channels.
inline std::string png_header(std::int64_t width, std::int64_t height, std::int64_t channels) {
  std::string header = big_endian(static_cast<std::uint32_t>(width)) +
                       big_endian(static_cast<std::uint32_t>(height));
  header += '\x08';
  header += channels == 1 ? '\0' : '\x02';
  header.append(3, '\0');
  return png_chunk("IHDR", header);
}

/// zlib's format with one stored block; below 64 KiB.
inline std::string stored(const std::string& raw) {
  const auto size = static_cast<unsigned>(raw.size());
  std::string bytes = "\x78\x01\x01";
  for (const unsigned half : {size, ~size}) {
    bytes += static_cast<char>(half & 255U);
    bytes += static_cast<char>(half >> 8U & 255U);
  }
  const auto sum =
      adler32(adler32(0, nullptr, 0), reinterpret_cast<const Bytef*>(raw.data()), size);
  return bytes + raw + big_endian(static_cast<std::uint32_t>(sum));
}

inline std::string png_bytes(const images::Image& image) {
  const auto row = static_cast<std::size_t>(image.width * image.channels);
  std::string raw;
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(image.pixels.data()) + y * row, row);
  }
  return png_signature + png_header(image.width, image.height, image.channels) +
         png_chunk("IDAT", stored(raw)) + png_chunk("IEND", "");
}

/// Of one color.
inline images::Image plain_image(std::int64_t width, std::int64_t height,
                                 const std::vector<std::uint8_t>& color) {
  images::Image image{
      .width = width, .height = height, .channels = static_cast<std::int64_t>(color.size())};
  for (std::int64_t i = 0; i < width * height; ++i) {
    image.pixels.insert(image.pixels.end(), color.begin(), color.end());
  }
  return image;
}

}  // namespace qhost::tests
