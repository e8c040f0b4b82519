/// data/row_kernels.h: converts bytes to normalized floats; the inner loops of data/augment.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qhost::data {

/// An image, or a cropped part of one, as [C][H][W] values with strides.
template <class Pixel>
struct ImageView {
  const Pixel* origin = nullptr;
  std::ptrdiff_t plane_stride = 0, row_stride = 0;
  std::int64_t channels = 0, height = 0, width = 0;
  bool flip = false;  ///< read each row from its right end
};

using PixelView = ImageView<std::uint8_t>;

/// Each kernel writes C*H*W floats (pixel - offset[c]) * factor[c]. Both operations round as IEEE
/// 754 defines, so all versions write the same bits.
struct RowKernels {
  const char* name;
  void (*planar)(const PixelView&, const float* offset, const float* factor, float* out);
  void (*interleaved)(const PixelView&, const float* offset, const float* factor, float* out);
};

const RowKernels& portable_row_kernels();
/// The fastest version for this processor.
const RowKernels& row_kernels();

}  // namespace qhost::data
