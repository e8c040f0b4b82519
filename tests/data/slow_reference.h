/// A simple and slow implementation of the augmentation: pixel by pixel, in double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "data/augment.h"
#include "qhost/random.h"

namespace qhost::data::testing {

inline std::int64_t reflected(std::int64_t i, std::int64_t n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

/// One image, of bytes or of floats, as [C][H][W] doubles.
template <class Pixel>
std::vector<double> slow_augment(const Pixel* image, const Shape& shape,
                                 const AugmentOptions& options, const AugmentDraw& draw) {
  const std::int64_t C = shape.channels(), H = shape.height(), W = shape.width();
  std::vector<double> out;
  for (std::int64_t c = 0; c < C; ++c) {
    for (std::int64_t y = 0; y < H; ++y) {
      for (std::int64_t x = 0; x < W; ++x) {
        std::int64_t sy = y + draw.dy, sx = (draw.flip ? W - 1 - x : x) + draw.dx;
        double pixel = 0;
        if (options.padding_mode == PaddingMode::reflect) {
          pixel = image[(c * H + reflected(sy, H)) * W + reflected(sx, W)];
        } else if (sy >= 0 && sy < H && sx >= 0 && sx < W) {
          pixel = image[(c * H + sy) * W + sx];
        }
        const auto channel = static_cast<std::size_t>(c);
        double value = pixel;
        if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
          value = (pixel / 255 - double{options.mean[channel]}) / double{options.std[channel]};
        }
        if (options.cutout > 0) {
          const std::int64_t top = draw.cut_y - options.cutout / 2;
          const std::int64_t left = draw.cut_x - options.cutout / 2;
          if (y >= top && y < top + options.cutout && x >= left && x < left + options.cutout) {
            value = 0;
          }
        }
        out.push_back(value);
      }
    }
  }
  return out;
}

/// The index of element (c, y, x) in an image of that layout.
inline std::size_t place(const Shape& shape, Layout layout, std::int64_t c, std::int64_t y,
                         std::int64_t x) {
  const std::int64_t C = shape.channels(), H = shape.height(), W = shape.width();
  return static_cast<std::size_t>(layout == Layout::nchw ? (c * H + y) * W + x
                                                         : (y * W + x) * C + c);
}

/// Pixels without a pattern, so that a wrong index shows.
inline std::vector<std::uint8_t> noise(std::size_t count, std::uint64_t key) {
  Random random(key);
  std::vector<std::uint8_t> out(count);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random.below(256));
  return out;
}

/// The same for floats of both signs, none of which is 0.
inline std::vector<float> float_noise(std::size_t count, std::uint64_t key) {
  Random random(key);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(random.below(1 << 20)) - 524287.5F;
  return out;
}

}  // namespace qhost::data::testing
