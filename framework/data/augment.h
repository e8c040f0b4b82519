/// data/augment.h: from stored bytes to a network's input in one pass.
///
/// Per image, in this order: random crop of the padded image, horizontal flip, normalization
///     out = (pixel - 255 * mean[c]) * (1 / (255 * std[c]))
/// (float32; one subtraction and one multiplication, each rounded, so that every instruction set
/// gives the same bits; it equals (pixel/255 - mean)/std to 1e-6), cutout. The writer chooses the
/// layout. An image of floats (Split::floats, whitened) has the same steps without the
/// normalization.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "qhost/options.h"

namespace qhost::data {

/// How a batch lies in memory: [N][C][H][W], or [N][H][W][C] (LibTorch's channels_last).
enum class Layout { nchw, nhwc };

/// What lies around an image that is cropped with padding: black (byte 0, before normalization, as
/// torchvision's RandomCrop does; 0 around an image of floats), or the image mirrored at its edge
/// pixel, which is not repeated.
enum class PaddingMode { zero, reflect };

struct AugmentOptions {
  /// Pixels added at each side; the crop then has the image's own size at a uniformly drawn place.
  std::int64_t crop_padding = 0;
  PaddingMode padding_mode = PaddingMode::zero;
  bool flip = false;  ///< horizontally, with probability 1/2
  /// Side of a square set to 0 after normalization, that is to the mean color (DeVries & Taylor,
  /// arXiv 1708.04552, 3.2); its center is uniform over the pixels, so it may leave the image.
  std::int64_t cutout = 0;
  std::vector<float> mean, std;  ///< per channel, of pixel/255; floats are not normalized
};

/// Whether the experiment's [augment] table asks for whitened images: whitening = "none" |
/// "gcn_zca", absent as none (data/whiten.h does it). Throws OptionError for another value, and
/// for a `normalize`, `mean` or `std` that whitened images would not follow.
bool whitened(const Options& augment);

/// The options of an experiment's [augment] table for training images of `set`: crop_padding,
/// padding_mode ("zero" | "reflect"), flip, cutout, normalize, mean, std; an absent key counts as
/// its default. Empty lists mean the set's own; normalize = false gives pixel/255. Of whitened()
/// images they are 0 and 1. Throws OptionError.
AugmentOptions augment_options(const Options& augment, const Dataset& set);

/// The same without crop, flip and cutout: for validation, test and calibration images.
AugmentOptions evaluation_options(const Options& augment, const Dataset& set);

/// What was drawn for one image in one epoch.
struct AugmentDraw {
  std::int64_t dy = 0, dx = 0;        ///< the crop reads source pixel (y + dy, x + dx)
  bool flip = false;                  ///< output column x shows crop column W-1-x
  std::int64_t cut_y = 0, cut_x = 0;  ///< center of the cutout, in output pixels
};

/// Writes single images. Immutable after construction: any number of threads may use one.
class Augmenter {
 public:
  /// `image` is {C, H, W}. Throws OptionError naming crop_padding, cutout, mean or std: negative or
  /// too large for the image, a wrong number of channels, a value that is not finite, std <= 0.
  Augmenter(const Shape& image, AugmentOptions options);

  /// The draws of image `index` (its place in the split) in `epoch`: keyed by (seed, "data",
  /// purpose, epoch, index), so they depend on no other image, batch size, thread or history.
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
