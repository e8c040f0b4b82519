/// kernels/vector_encode.h: codes of floats over vectors of an instruction set, for avx2.cpp and
/// avx512.cpp; see kernels/vector_tile.h.
///
/// An instruction set I has, beside what the convolutions need:
///     over, larger, lesser    a / b, and a > b ? a : b and a < b ? a : b, also of NaN
///     nearest                 the nearest whole number, half to even
///     count_at_least          count + 1 in the lanes with a >= b
///     count_less              count - 1 in the lanes with a < b
///     step_at_least           count + step in the lanes with a >= b
///     gather                  floats at indices of an array
///     store_bytes             the lowest bytes of the first `count` lanes
#pragma once

#include "runtime/kernels/vector_tile.h"

namespace qhost::runtime {
namespace {

template <class I>
void encode_bits(const float* x, int pixels, int channels, const float* thresholds,
                 const float* direction, std::uint8_t* bits, int pixel_bytes) {
  for (int p = 0; p < pixels; ++p, x += channels, bits += pixel_bytes) {
    for (int c = 0; c < channels; c += channel_block) {
      const int count = smaller(channel_block, channels - c);
      std::uint32_t word = 0;
      for (int i = 0; i < count; i += I::lanes) {
        const auto some = I::some(count - i);
        auto y = I::load(x + c + i, some);
        if (direction != nullptr) y = I::times(I::load(direction + c + i, some), y);
        word |= (I::at_least(y, I::load(thresholds + c + i, some)) & I::bits(some)) << i;
      }
      switch (smaller(word_bytes, pixel_bytes - c / 8)) {
        case 4:
          std::memcpy(bits + c / 8, &word, 4);
          break;
        case 2:
          std::memcpy(bits + c / 8, &word, 2);
          break;
        default:
          std::memcpy(bits + c / 8, &word, 1);
      }
    }
  }
}

template <class I>
QHOST_INLINE typename I::Ints rounded(const ByteEncoder& e, typename I::Floats x) {
  const auto step = I::spread(e.step), zero = I::spread(e.zero);
  auto q = e.divides ? I::over(x, step) : I::times(x, step);
  q = I::larger(q, I::spread(-e.zero - 1));
  q = I::lesser(q, I::spread(static_cast<float>(e.codes) - e.zero));
  q = I::plus(I::to_floats(I::nearest(q)), zero);
  q = I::larger(q, I::spread(0.0F));
  return I::nearest(I::lesser(q, I::spread(static_cast<float>(e.codes - 1))));
}

template <class I>
QHOST_INLINE typename I::Ints guessed(const ByteEncoder& e, typename I::Floats x, int channel,
                                      typename I::Some some) {
  const auto slope = I::load(e.slope + channel, some), offset = I::load(e.offset + channel, some);
  auto near = I::larger(I::fma(x, slope, offset), I::spread(0.0F));
  near = I::lesser(near, I::spread(static_cast<float>(e.codes - 1)));
  auto code = I::nearest(near);
  const auto whole = I::to_floats(code);
  const auto above = I::minus(near, whole), below = I::minus(whole, near);
  const auto clear = I::spread(0.5F - e.doubt);
  if (((I::at_least(above, clear) | I::at_least(below, clear)) & I::bits(some)) == 0) return code;
  const auto start = I::plus(I::load(e.row_start + channel, some), code);
  code = I::count_at_least(code, x, I::gather(e.rows + 1, start));
  return I::count_less(code, x, I::gather(e.rows, start));
}

template <class I>
QHOST_INLINE typename I::Ints searched(const ByteEncoder& e, typename I::Floats x, int channel,
                                       typename I::Some some) {
  const auto start = I::load(e.row_start + channel, some);
  auto code = I::spread(std::int32_t{0});
  QHOST_ROLL for (std::int32_t step = 1 << e.row_steps >> 1; step > 0; step /= 2) {
    const auto steps = I::spread(step);
    code =
        I::step_at_least(code, steps, x, I::gather(e.rows, I::plus(start, I::plus(code, steps))));
  }
  return code;
}

template <class I>
QHOST_INLINE typename I::Ints compared(const ByteEncoder& e, typename I::Floats x, int channel,
                                       std::ptrdiff_t column, typename I::Some some) {
  auto code = I::spread(std::int32_t{0});
  const float* thresholds = e.columns + channel;
  QHOST_ROLL for (int j = 1; j < e.codes; ++j, thresholds += column) {
    code = I::count_at_least(code, x, I::load(thresholds, some));
  }
  return code;
}

template <class I>
void encode_bytes(const ByteEncoder& e, const float* x, int pixels, int channels,
                  std::uint8_t* bytes, int pixel_bytes) {
  const std::ptrdiff_t column = padded(channels);
  for (int p = 0; p < pixels; ++p, x += channels, bytes += pixel_bytes) {
    for (int c = 0; c < channels; c += I::lanes) {
      const int count = smaller(I::lanes, channels - c);
      const auto some = I::some(count);
      auto seen = I::load(x + c, some);
      if (e.direction != nullptr) seen = I::times(I::load(e.direction + c, some), seen);
      typename I::Ints code;
      if (e.step != 0) {
        code = rounded<I>(e, seen);
      } else if (e.columns != nullptr) {
        code = compared<I>(e, seen, c, column, some);
      } else if (e.slope != nullptr) {
        code = guessed<I>(e, seen, c, some);
      } else {
        code = searched<I>(e, seen, c, some);
      }
      I::store_bytes(bytes + c, code, count);
    }
    for (int c = channels; c < pixel_bytes; ++c) bytes[c] = 0;
  }
}

}  // namespace
}  // namespace qhost::runtime
