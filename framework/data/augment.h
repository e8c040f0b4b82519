/// data/augment.h: turns stored bytes into a network's input in one pass.
///
/// The steps for each image, in this order: random crop of the padded image, horizontal flip,
/// normalization
///     out = (pixel - 255 * mean[c]) * (1 / (255 * std[c]))
/// (float32; one subtraction and one multiplication, each rounded, so that every instruction set
/// gives the same bits; it equals (pixel/255 - mean)/std to 1e-6), cutout. The result has the
/// requested layout. An image of floats (Split::floats, whitened) has the same steps without
/// normalization.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "qhost/options.h"

namespace qhost::data {

/// The memory layout of a batch: [N][C][H][W], or [N][H][W][C] (LibTorch's channels_last).
enum class Layout { nchw, nhwc };

/// The padding of a cropped image. zero: black (byte 0 before normalization, as in torchvision's
/// RandomCrop; 0 around an image of floats). reflect: the image mirrored at its edge pixel, which
/// is not repeated.
enum class PaddingMode { zero, reflect };

struct AugmentOptions {
  /// Pixels added at each side. The crop has the image's size and a uniformly drawn position.
  std::int64_t crop_padding = 0;
  PaddingMode padding_mode = PaddingMode::zero;
  bool flip = false;  ///< horizontally, with probability 1/2
  /// Side of a square that is set to 0 after normalization, which is the mean color (DeVries &
  /// Taylor, arXiv 1708.04552, 3.2). Its center is uniform over the pixels, so part of it may be
  /// outside the image.
  std::int64_t cutout = 0;
  std::vector<float> mean, std;  ///< per channel, of pixel/255; floats are not normalized
};

/// True if the experiment's [augment] table asks for whitened images: whitening = "none" (the
/// default) | "gcn_zca" (see data/whiten.h). Throws OptionError for another value, and for a
/// `normalize`, `mean` or `std` that would have no effect on whitened images.
bool whitened(const Options& augment);

/// The options of an experiment's [augment] table for training images of `set`: crop_padding,
/// padding_mode ("zero" | "reflect"), flip, cutout, normalize, mean, std. A missing key has its
/// default. An empty list means the mean or std of the set; normalize = false gives pixel/255. For
/// whitened() images, mean and std have no effect: they are 0 and 1. Throws OptionError.
AugmentOptions augment_options(const Options& augment, const Dataset& set);

/// The same without crop, flip and cutout: for validation, test and calibration images.
AugmentOptions evaluation_options(const Options& augment, const Dataset& set);

/// The random draws for one image in one epoch.
struct AugmentDraw {
  std::int64_t dy = 0, dx = 0;        ///< output pixel (y, x) of the crop is source pixel (y + dy,
                                      ///< x + dx)
  bool flip = false;                  ///< output column x is crop column W-1-x
  std::int64_t cut_y = 0, cut_x = 0;  ///< center of the cutout, in output pixels
};

/// Writes single images. Immutable after construction, and therefore thread-safe.
class Augmenter {
 public:
  /// `image` is {C, H, W}. Throws OptionError that names crop_padding, cutout, mean or std: a
  /// negative value, one too large for the image, a wrong number of channels, a value that is not
  /// finite, std <= 0.
  Augmenter(const Shape& image, AugmentOptions options);

  /// The draws of image `index` (its position in the split) in `epoch`. The random key is (seed,
  /// "data", purpose, epoch, index), so they do not depend on other images, batch size, thread or
  /// history.
  AugmentDraw draw(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const;

  /// Reads C*H*W bytes [C][H][W], writes C*H*W floats.
  void write(const std::uint8_t* image, const AugmentDraw& draw, float* out, Layout layout) const;
  /// The same for C*H*W floats, which are not normalized.
  void write(const float* image, const AugmentDraw& draw, float* out, Layout layout) const;

  const Shape& image() const { return image_; }
  const AugmentOptions& options() const { return options_; }

 private:
  void cut_out(const AugmentDraw& draw, float* out, Layout layout) const;

  Shape image_;
  AugmentOptions options_;
  std::vector<float> offset_, factor_;  // 255 * mean, 1 / (255 * std)
};

}  // namespace qhost::data
