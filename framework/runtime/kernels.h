/// runtime/kernels.h: the convolutions of the engine and its search for codes, one set a CPU level.
///
/// A kernel works on one image and on a range of its output rows, so that threads share images and
/// rows. It allocates nothing, knows no step and checks nothing: the planner gives it what
/// packed::why_invalid() has passed. A linear layer is a convolution of one pixel.
///
/// Floats lie in the order row, column, channel ("NHWC"), channels side by side. Codes do too: bits
/// in `pixel_bytes` a pixel, bytes one a channel.
///
/// Every set computes the same bits where it says so: integer sums are exact, and an epilogue is
/// the sequence of float operations below. Sums of floats differ in their last bits from set to set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qhost::runtime {

struct ConvShape {
  int in_height = 1, in_width = 1, in_channels = 1;
  int out_height = 1, out_width = 1, out_channels = 1;
  int kernel_height = 1, kernel_width = 1;
  int stride_height = 1, stride_width = 1;
  int pad_height = 0, pad_width = 0;
  int groups = 1;
};

/// Channels are padded to this many where a block of them is computed at once.
inline constexpr int channel_block = 32;
// Always inline: no level of CPU may define them for the others, not even without optimization.
[[gnu::always_inline]] constexpr int padded(int channels) {
  return (channels + channel_block - 1) / channel_block * channel_block;
}

/// One bit a channel, lowest first. Bytes of a pixel: 1, 2 or 4 for up to 8, 16 or 32 channels,
/// above that 4 for each 32; bits behind the last channel are 0. `data` is pixel (0, 0) of the
/// image; around the image lie `border_height` rows and `border_width` columns of 0 bits on each
/// side, and 8 readable bytes behind the last.
struct Bits {
  std::uint8_t* data = nullptr;
  int pixel_bytes = 0;
  std::ptrdiff_t row_bytes = 0;
};
[[gnu::always_inline]] constexpr int bits_pixel_bytes(int channels) {
  return channels <= 8 ? 1 : channels <= 16 ? 2 : (channels + 31) / 32 * 4;
}

/// One byte a channel, `pixel_bytes` a pixel: a multiple of 4, the bytes behind the last channel
/// 0. Around the image lies a border of the padding's code.
struct Bytes {
  std::uint8_t* data = nullptr;
  int pixel_bytes = 0;
  std::ptrdiff_t row_bytes = 0;
};

/// What happens to the sum of output channel c. All arrays over channels have padded(out_channels)
/// entries; null is a part that is left out. `sum` is the integer sum, or the float one.
///
///     code   with sum_thresholds: bit = sum_direction[c] * sum >= sum_thresholds[c]
///            (integers; the float parts are all null then)
///     y = (float)sum
///     y = y * position[pixel]
///     y = fma(y, scale[c], bias[c]), or y * scale[c], or y + bias[c]
///     y = y + residual[pixel][c]
///     bit = direction[c] * y >= thresholds[c]         (thresholds; no direction: +1)
///     out[pixel][c] = y, or with `relu` y > 0 ? y : 0     (NaN stays; -0 becomes +0)
/// What the arrays hold behind the last channel has no effect. `out` may be `residual`.
/// Pixels of position, residual and out: out_height * out_width of them, without borders. Bits are
/// written a whole pixel at a time: bits behind the last channel are 0. With groups, a group's
/// channels follow the previous group's.
struct Epilogue {
  const std::int32_t* sum_thresholds = nullptr;
  const std::int32_t* sum_direction = nullptr;
  const float* position = nullptr;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* residual = nullptr;
  const float* thresholds = nullptr;
  const float* direction = nullptr;
  bool relu = false;
  float* out = nullptr;
  Bits bits;  ///< data null: none
};

/// Levels -1 and +1 on both sides: sum = (number of equal bits) - (number of different bits).
/// `padding`: what the border stands for: 0 (no term), or -1 or +1.
///
/// weights: for each group, each block of 32 of its output channels, each kernel row, each word of
/// the row's run: 32 words, one an output channel. The run of a kernel row is kernel_width *
/// bits_pixel_bytes(Cin/groups) bytes in words of 4; where the last word is not whole, its mask has
/// the bits that count.
/// border_sums: with padding 0, -1 or +1 what is to be added to the sum that a border of 0 bits
/// gives, by case: [case][padded(Cout)]; the case of a pixel is row_case[y] * column_cases +
/// column_case[x]; case 0 has no border under the kernel, or one of -1, and adds 0.
/// With more than one group a group's channels must fill whole bytes: a multiple of 8 input
/// channels a group; otherwise the planner takes the float kernel.
struct BinaryConv {
  ConvShape shape;
  const std::uint32_t* weights = nullptr;
  int words = 0;  ///< of a kernel row's run
  std::uint32_t last_mask = ~0U;
  int terms = 0;  ///< products of a sum without border: Cin/groups * kh * kw
  const std::int32_t* border_sums = nullptr;
  const int* row_case = nullptr;
  const int* column_case = nullptr;
  int column_cases = 1;
};

/// Integer weights -128..127 times codes 0..255: sum = factor * (sum of weight * code) +
/// offset[c]. The border holds the padding's code.
///
/// weights: for each group, each block of 32 of its output channels, each kernel row, each 4 bytes
/// of the row's run of pixels: 32 * 4 bytes, four of each output channel. With more than one group
/// Cin/groups must be a multiple of 4; otherwise the planner takes the float kernel.
struct IntegerConv {
  ConvShape shape;
  const std::int8_t* weights = nullptr;
  int run = 0;  ///< 4-byte words of a kernel row's run
  std::int32_t factor = 1;
  const std::int32_t* offset = nullptr;  ///< [padded(Cout)]
};

/// Float weights and inputs; the padding is zeros, and x has no border.
/// weights: for each group, each block of 32 of its output channels, each kernel row, column and
/// input channel: 32 floats.
struct FloatConv {
  ConvShape shape;
  const float* weights = nullptr;
};

/// Codes of floats, one byte each: code = number of j with direction[c] * x >= t[c][j], NaN being 0.
/// All arrays over channels have padded(channels) entries. The first form that is there counts.
struct ByteEncoder {
  int codes = 2;                     ///< 2 to 256
  const float* direction = nullptr;  ///< +1 and -1; null: all +1
  /// step != 0, the same for all channels and without direction:
  ///     code = clamp(round_half_even(divides ? x / step : x * step) + zero, 0, codes - 1)
  float step = 0, zero = 0;
  bool divides = false;
  /// Few thresholds: [codes - 1][padded(channels)], compared one by one.
  const float* columns = nullptr;
  /// A channel's row of 2^row_steps + 1 floats begins at row_start[c]: -inf, t[c][0], t[c][1], ...,
  /// then NaN. It is searched in row_steps steps.
  const float* rows = nullptr;
  const std::int32_t* row_start = nullptr;
  int row_steps = 0;
  /// Not null: code = round_half_even(clamp(fma(x, slope[c], offset[c]), 0, codes - 1)), and where
  /// that is within `doubt` of a half, it is one more or less as the row says.
  const float* slope = nullptr;
  const float* offset = nullptr;
  float doubt = 0;
};

/// The functions of one CPU level. Rows [first_row, last_row) of one image.
struct Kernels {
  const char* name = "";  ///< "portable", "avx2", "avx512"
  void (*binary)(const BinaryConv&, const Bits& x, int first_row, int last_row, const Epilogue&);
  void (*integer)(const IntegerConv&, const Bytes& x, int first_row, int last_row, const Epilogue&);
  void (*floating)(const FloatConv&, const float* x, int first_row, int last_row, const Epilogue&);
  /// bit = direction[c] * x >= thresholds[c] of `pixels` pixels of a row of floats; arrays as in
  /// Epilogue.
  void (*encode_bits)(const float* x, int pixels, int channels, const float* thresholds,
                      const float* direction, std::uint8_t* bits, int pixel_bytes);
  /// Of `pixels` pixels of a row of floats; the bytes behind the last channel of a pixel become 0.
  void (*encode_bytes)(const ByteEncoder&, const float* x, int pixels, int channels,
                       std::uint8_t* bytes, int pixel_bytes);
};

const Kernels& portable_kernels();
/// Null where this build has none (another processor family).
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace qhost::runtime
