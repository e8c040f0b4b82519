#include "images/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qhost::images {
namespace {

/// The fraction bits of a weight: 8 bits of pixels and a sum that may exceed 255 for a moment leave
/// as many in 32.
constexpr int fraction_bits = 22;

/// The input pixels of one output pixel.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

/// Of the outputs from `begin` to `begin + count` when `from` pixels become `to`.
std::vector<Taps> taps_of(std::int64_t from, std::int64_t to, std::int64_t begin,
                          std::int64_t count) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all;
  for (std::int64_t i = begin; i < begin + count; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    Taps taps;
    taps.first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const std::int64_t last =
        std::min<std::int64_t>(static_cast<std::int64_t>(center + support + 0.5), from);
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t x = taps.first; x < last; ++x) {
      const double distance = (static_cast<double>(x) - center + 0.5) * (1.0 / support);
      weights.push_back(std::max(1.0 - std::abs(distance), 0.0));
      sum += weights.back();
    }
    for (const double weight : weights) {
      // Not negative: adding one half rounds.
      taps.weights.push_back(
          static_cast<std::int32_t>(0.5 + weight / sum * (std::int32_t{1} << fraction_bits)));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

/// The sum of `taps` over pixels that are `stride` bytes apart.
std::uint8_t sum_of(const Taps& taps, const std::uint8_t* pixels, std::int64_t stride) {
  std::int32_t sum = std::int32_t{1} << (fraction_bits - 1);
  for (const std::int32_t weight : taps.weights) {
    sum += *pixels * weight;
    pixels += stride;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> fraction_bits, 0, 255));
}

}  // namespace

Image resized(const Image& image, std::int64_t width, std::int64_t height, const Window& window) {
  const std::int64_t channels = image.channels;
  const std::vector<Taps> columns = taps_of(image.width, width, window.left, window.width);
  const std::vector<Taps> rows = taps_of(image.height, height, window.top, window.height);

  // The rows that the second pass reads.
  const std::int64_t first = rows.front().first;
  const std::int64_t last =
      rows.back().first + static_cast<std::int64_t>(rows.back().weights.size());
  const std::int64_t row_bytes = window.width * channels;
  std::vector<std::uint8_t> narrow(static_cast<std::size_t>((last - first) * row_bytes));
  for (std::int64_t y = first; y < last; ++y) {
    const std::uint8_t* row = image.pixels.data() + y * image.width * channels;
    std::uint8_t* out = narrow.data() + (y - first) * row_bytes;
    for (const Taps& taps : columns) {
      for (std::int64_t c = 0; c < channels; ++c) {
        *out++ = sum_of(taps, row + taps.first * channels + c, channels);
      }
    }
  }
  Image result{.width = window.width, .height = window.height, .channels = channels};
  result.pixels.reserve(static_cast<std::size_t>(window.height * row_bytes));
  for (const Taps& taps : rows) {
    const std::uint8_t* column = narrow.data() + (taps.first - first) * row_bytes;
    for (std::int64_t i = 0; i < row_bytes; ++i) {
      result.pixels.push_back(sum_of(taps, column + i, row_bytes));
    }
  }
  return result;
}

}  // namespace qhost::images
