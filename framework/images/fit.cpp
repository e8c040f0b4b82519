#include "images/fit.h"

#include <cmath>
#include <utility>

#include "images/resize.h"

namespace qhost::images {
namespace {

Image gray_of(const Image& image) {
  Image gray{.width = image.width, .height = image.height, .channels = 1};
  gray.pixels.reserve(image.pixels.size() / 3);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    const std::uint32_t luma = 19595U * image.pixels[i] + 38470U * image.pixels[i + 1] +
                               7471U * image.pixels[i + 2] + 32768U;
    gray.pixels.push_back(static_cast<std::uint8_t>(luma >> 16U));
  }
  return gray;
}

Image color_of(const Image& image) {
  Image color{.width = image.width, .height = image.height, .channels = 3};
  color.pixels.reserve(image.pixels.size() * 3);
  for (const std::uint8_t value : image.pixels) {
    color.pixels.insert(color.pixels.end(), 3, value);
  }
  return color;
}

/// Half of what is cut off, as Python's round(): of two whole numbers the even one.
std::int64_t margin(std::int64_t from, std::int64_t to) {
  return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(from - to) / 2));
}

}  // namespace

Fitted fit(Image image, std::int64_t channels, std::int64_t height, std::int64_t width) {
  Fitted fitted;
  if (image.channels == 3 && channels == 1) {
    image = gray_of(image);
    fitted.notes.emplace_back("its colors became gray (ITU-R 601-2 luma)");
  } else if (image.channels == 1 && channels == 3) {
    image = color_of(image);
    fitted.notes.emplace_back("its gray became red, green and blue");
  }
  if (image.width == width && image.height == height) {
    fitted.image = std::move(image);
    return fitted;
  }
  // width / image.width >= height / image.height: the width has less to spare.
  const bool narrow = width * image.height >= height * image.width;
  const std::int64_t full_width = narrow ? width : height * image.width / image.height;
  const std::int64_t full_height = narrow ? width * image.height / image.width : height;
  std::string note = size_text(image.width, image.height) + " was ";
  const bool scaled = full_width != image.width || full_height != image.height;
  const bool cropped = full_width != width || full_height != height;
  if (scaled) note += "resized to " + size_text(full_width, full_height);
  if (scaled && cropped) note += " and ";
  if (cropped) note += "cropped to " + size_text(width, height);
  fitted.notes.push_back(std::move(note));
  fitted.image = resized(image, full_width, full_height,
                         {.left = margin(full_width, width),
                          .top = margin(full_height, height),
                          .width = width,
                          .height = height});
  return fitted;
}

}  // namespace qhost::images
