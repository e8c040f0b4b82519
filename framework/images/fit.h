/// images/fit.h: makes an image of any size and color the input of a network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "images/image.h"

namespace qhost::images {

struct Fitted {
  Image image;
  /// What was done: "640x480 was resized to 42x32 and cropped to 32x32". Empty for an image that
  /// was taken as it is.
  std::vector<std::string> notes;
};

/// First the channels, then the size, as torchvision's
///     Compose([Grayscale(), Resize(s, antialias=True), CenterCrop(s)])
/// on a Pillow image does for a square network: the shorter side becomes s, the longer one is
/// rounded down. For another network the side that has less to spare is the one that fits.
///     color for gray   (19595 r + 38470 g + 7471 b + 32768) >> 16: the luma of ITU-R 601-2, as
///                      Pillow's convert("L")
///     gray for color   the same value in each channel
/// `channels` is 1 or 3; the image has at least one pixel.
Fitted fit(Image image, std::int64_t channels, std::int64_t height, std::int64_t width);

}  // namespace qhost::images
