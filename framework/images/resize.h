/// images/resize.h: scales an image to the bit as Pillow's Image.resize(size, BILINEAR) does, which
/// is torchvision's Resize with bilinear interpolation and antialias=True on such an image.
#pragma once

#include <cstdint>

#include "images/image.h"

namespace qhost::images {

/// A rectangle of pixels.
struct Window {
  std::int64_t left = 0, top = 0, width = 0, height = 0;
};

/// The part `window` of the image scaled to `width` x `height`. For a reduction by s the weight of
/// an input pixel is max(0, 1 - |distance from the output pixel's center| / s), for an enlargement
/// s is 1; the weights of an output pixel sum up to 1. Rows are scaled first and rounded to bytes,
/// then columns. Only what the window needs is computed.
Image resized(const Image& image, std::int64_t width, std::int64_t height, const Window& window);

}  // namespace qhost::images
