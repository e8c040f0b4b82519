#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "data/row_kernels.h"
#include "qhost/error.h"
#include "qhost/random.h"

namespace qhost::data {
namespace {

std::string size_text(const Shape& image) {
  return std::to_string(image.height()) + "x" + std::to_string(image.width());
}

void check_channels(const char* name, const std::vector<float>& values, const Shape& image) {
  if (static_cast<std::int64_t>(values.size()) != image.channels()) {
    throw OptionError(name,
                      std::to_string(values.size()) + " values for " +
                          std::to_string(image.channels()) + " channels",
                      "give one per channel, or [] for the data set's own");
  }
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw OptionError(name, "a value is not finite", "give numbers on the scale of pixel/255");
    }
  }
}

std::vector<float> per_channel(const Options& augment, const char* name,
                               const std::vector<float>& own) {
  if (!augment.has(name) || augment.reals(name).empty()) return own;
  const std::vector<double>& given = augment.reals(name);
  return std::vector<float>(given.begin(), given.end());
}

/// The reflected index of `i`, which is at most size-1 outside: ... 2 1 | 0 1 2 ... n-1 | n-2 n-3
/// ...
std::int64_t mirrored(std::int64_t i, std::int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

/// Copies the rows of a crop displaced by `dy`, each with `padding` pixels at both ends: [C][H][W +
/// 2 padding]. `Fixed` is the width if it is known at compile time, else 0.
template <std::int64_t Fixed, class Pixel>
void stage(const Pixel* image, const Shape& shape, std::int64_t padding, std::int64_t dy,
           PaddingMode mode, std::vector<Pixel>& staged) {
  const std::int64_t height = shape.height(), width = Fixed != 0 ? Fixed : shape.width();
  const std::int64_t stride = width + 2 * padding;
  const auto pixels = static_cast<std::size_t>(shape.channels() * height * stride);
  if (mode == PaddingMode::zero) {
    staged.assign(pixels, 0);
  } else {
    staged.resize(pixels);
  }
  for (std::int64_t c = 0; c < shape.channels(); ++c) {
    for (std::int64_t y = 0; y < height; ++y) {
      std::int64_t from = y + dy;
      if (mode == PaddingMode::reflect) {
        from = mirrored(from, height);
      } else if (from < 0 || from >= height) {
        continue;
      }
      const Pixel* source = image + (c * height + from) * width;
      Pixel* row = staged.data() + (c * height + y) * stride + padding;
      std::memcpy(row, source, static_cast<std::size_t>(width) * sizeof(Pixel));
      if (mode == PaddingMode::zero) continue;
      for (std::int64_t i = 1; i <= padding; ++i) {
        row[-i] = source[i];
        row[width - 1 + i] = source[width - 1 - i];
      }
    }
  }
}

/// The view of a draw: of `image` itself, or of `staged`, which receives the cropped rows.
template <class Pixel>
ImageView<Pixel> view_of(const Pixel* image, const Shape& shape, const AugmentOptions& options,
                         const AugmentDraw& draw, std::vector<Pixel>& staged) {
  const std::int64_t channels = shape.channels(), height = shape.height(), width = shape.width();
  ImageView<Pixel> view{image, height * width, width, channels, height, width, draw.flip};
  if (draw.dy != 0 || draw.dx != 0) {
    const std::int64_t padding = options.crop_padding;
    (width == 32 ? stage<32, Pixel> : stage<0, Pixel>)(image, shape, padding, draw.dy,
                                                       options.padding_mode, staged);
    view.row_stride = width + 2 * padding;
    view.plane_stride = height * view.row_stride;
    view.origin = staged.data() + padding + draw.dx;
  }
  return view;
}

void copy_planar(const ImageView<float>& in, float* out) {
  for (std::int64_t c = 0; c < in.channels; ++c) {
    for (std::int64_t y = 0; y < in.height; ++y, out += in.width) {
      const float* row = in.origin + c * in.plane_stride + y * in.row_stride;
      if (in.flip) {
        std::reverse_copy(row, row + in.width, out);
      } else {
        std::copy_n(row, in.width, out);
      }
    }
  }
}

void copy_interleaved(const ImageView<float>& in, float* out) {
  for (std::int64_t y = 0; y < in.height; ++y, out += in.width * in.channels) {
    for (std::int64_t c = 0; c < in.channels; ++c) {
      const float* row = in.origin + c * in.plane_stride + y * in.row_stride;
      const std::int64_t first = in.flip ? in.width - 1 : 0, step = in.flip ? -1 : 1;
      for (std::int64_t x = 0; x < in.width; ++x) out[x * in.channels + c] = row[first + step * x];
    }
  }
}

}  // namespace

bool whitened(const Options& augment) {
  if (!augment.has("whitening") || augment.string("whitening") == "none") return false;
  const std::string& kind = augment.string("whitening");
  if (kind != "gcn_zca") {
    throw OptionError("whitening", "\"" + kind + "\" is not known", "one of \"none\", \"gcn_zca\"");
  }
  const auto refuse = [](const char* name) {
    throw OptionError(name, "whitened images are not normalized by channel",
                      "take it out, or set whitening = \"none\"");
  };
  if (augment.has("normalize") && !augment.boolean("normalize")) refuse("normalize");
  for (const char* name : {"mean", "std"}) {
    if (augment.has(name) && !augment.reals(name).empty()) refuse(name);
  }
  return true;
}

AugmentOptions evaluation_options(const Options& augment, const Dataset& set) {
  AugmentOptions options;
  if (whitened(augment) || (augment.has("normalize") && !augment.boolean("normalize"))) {
    options.mean.assign(static_cast<std::size_t>(set.image.channels()), 0.0F);
    options.std.assign(static_cast<std::size_t>(set.image.channels()), 1.0F);
  } else {
    options.mean = per_channel(augment, "mean", set.mean);
    options.std = per_channel(augment, "std", set.std);
  }
  return options;
}

AugmentOptions augment_options(const Options& augment, const Dataset& set) {
  AugmentOptions options = evaluation_options(augment, set);
  if (augment.has("crop_padding")) options.crop_padding = augment.integer("crop_padding");
  if (augment.has("flip")) options.flip = augment.boolean("flip");
  if (augment.has("cutout")) options.cutout = augment.integer("cutout");
  if (augment.has("padding_mode")) {
    const std::string& mode = augment.string("padding_mode");
    if (mode != "zero" && mode != "reflect") {
      throw OptionError("padding_mode", "\"" + mode + "\" is not a padding mode",
                        "one of \"zero\", \"reflect\"");
    }
    options.padding_mode = mode == "zero" ? PaddingMode::zero : PaddingMode::reflect;
  }
  return options;
}

Augmenter::Augmenter(const Shape& image, AugmentOptions options)
    : image_(image), options_(std::move(options)) {
  const std::int64_t smaller = std::min(image_.height(), image_.width());
  const std::int64_t padding = options_.crop_padding;
  // With more padding, a crop could miss the image, or a reflected index could leave it.
  if (padding < 0 || padding >= smaller) {
    throw OptionError("crop_padding",
                      std::to_string(padding) + " does not fit images of " + size_text(image_),
                      "0.." + std::to_string(smaller - 1) + ", 4 is usual for 32x32");
  }
  if (options_.cutout < 0 || options_.cutout > smaller) {
    throw OptionError("cutout",
                      "a square of side " + std::to_string(options_.cutout) +
                          " does not fit images of " + size_text(image_),
                      "0.." + std::to_string(smaller) + ", 16 is usual for 32x32");
  }
  check_channels("mean", options_.mean, image_);
  check_channels("std", options_.std, image_);
  for (std::size_t c = 0; c < options_.mean.size(); ++c) {
    if (!(options_.std[c] > 0.0F)) {
      throw OptionError(
          "std",
          std::to_string(options_.std[c]) + " for channel " + std::to_string(c) + " is not above 0",
          "pixels are divided by it");
    }
    offset_.push_back(static_cast<float>(255.0 * double{options_.mean[c]}));
    factor_.push_back(static_cast<float>(1.0 / (255.0 * double{options_.std[c]})));
  }
}

AugmentDraw Augmenter::draw(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const {
  const auto keyed = [&](const char* purpose) {
    return Random::keyed(seed, "data", purpose, static_cast<std::uint64_t>(epoch),
                         static_cast<std::uint64_t>(index));
  };
  const auto below = [](Random& random, std::int64_t bound) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound)));
  };
  // Each draw has a purpose of its own, so that switching one off does not change the others.
  AugmentDraw draw;
  if (options_.crop_padding > 0) {
    Random random = keyed("crop");
    draw.dy = below(random, 2 * options_.crop_padding + 1) - options_.crop_padding;
    draw.dx = below(random, 2 * options_.crop_padding + 1) - options_.crop_padding;
  }
  if (options_.flip) draw.flip = keyed("flip").next_u32() >> 31 != 0;
  if (options_.cutout > 0) {
    Random random = keyed("cutout");
    draw.cut_y = below(random, image_.height());
    draw.cut_x = below(random, image_.width());
  }
  return draw;
}

void Augmenter::write(const std::uint8_t* image, const AugmentDraw& draw, float* out,
                      Layout layout) const {
  thread_local std::vector<std::uint8_t> staged;  // some kilobytes, reused for each image
  const PixelView view = view_of(image, image_, options_, draw, staged);
  const RowKernels& kernels = row_kernels();
  (layout == Layout::nchw ? kernels.planar : kernels.interleaved)(view, offset_.data(),
                                                                  factor_.data(), out);
  if (options_.cutout != 0) cut_out(draw, out, layout);
}

void Augmenter::write(const float* image, const AugmentDraw& draw, float* out,
                      Layout layout) const {
  thread_local std::vector<float> staged;
  const ImageView<float> view = view_of(image, image_, options_, draw, staged);
  (layout == Layout::nchw ? copy_planar : copy_interleaved)(view, out);
  if (options_.cutout != 0) cut_out(draw, out, layout);
}

void Augmenter::cut_out(const AugmentDraw& draw, float* out, Layout layout) const {
  const std::int64_t channels = image_.channels(), height = image_.height(), width = image_.width();
  const std::int64_t y0 = draw.cut_y - options_.cutout / 2, x0 = draw.cut_x - options_.cutout / 2;
  const std::int64_t top = std::max<std::int64_t>(y0, 0), left = std::max<std::int64_t>(x0, 0);
  const std::int64_t bottom = std::min(y0 + options_.cutout, height);
  const std::int64_t right = std::min(x0 + options_.cutout, width);
  if (layout == Layout::nhwc) {
    for (std::int64_t y = top; y < bottom; ++y) {
      std::fill_n(out + (y * width + left) * channels, (right - left) * channels, 0.0F);
    }
  } else {
    for (std::int64_t row = 0; row < channels * height; ++row) {
      const std::int64_t y = row % height;
      if (y >= top && y < bottom) std::fill_n(out + row * width + left, right - left, 0.0F);
    }
  }
}

}  // namespace qhost::data
