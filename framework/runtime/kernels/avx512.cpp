// The kernels for AVX-512 with VPOPCNTDQ and VNNI.
//
// A tile is up to 8 output pixels by 32 output channels: two vectors of 16 lanes a pixel, a lane for
// each channel. A step loads the weights of 32 channels once and broadcasts one word of each pixel.
// No lane is ever added to another.
//
// Everything is in an unnamed namespace and no inline function of a library is called: the linker must
// not take code of this file for another CPU.
#include "runtime/kernels.h"

#if defined(__AVX512F__) && defined(__AVX512VPOPCNTDQ__) && defined(__AVX512VNNI__)

#include <immintrin.h>

namespace qhost::runtime {
namespace {

constexpr int lanes = channel_block;

/// The channels of one block, and which of its lanes exist.
struct Block {
  int first;  ///< output channel
  __mmask16 low, high;
};

Block block_of(int first, int count) {
  const unsigned mask = count >= lanes ? ~0U : (1U << count) - 1;
  return {first, static_cast<__mmask16>(mask), static_cast<__mmask16>(mask >> 16)};
}

/// Bits of up to 32 channels of a pixel: a whole word, or the bytes that the pixel has.
inline void store_bits(const Bits& bits, int y, int x, int first, unsigned word) {
  std::uint8_t* to = bits.data + y * bits.row_bytes +
                     static_cast<std::ptrdiff_t>(x) * bits.pixel_bytes + first / 8;
  if (bits.pixel_bytes >= 4) {
    __builtin_memcpy(to, &word, 4);
  } else if (bits.pixel_bytes == 2) {
    const auto half = static_cast<std::uint16_t>(word);
    __builtin_memcpy(to, &half, 2);
  } else {
    *to = static_cast<std::uint8_t>(word);
  }
}

inline __m512 relu(__m512 y) {
  // Not "at most 0": NaN stays, -0 becomes 0.
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NLE_UQ), y);
}

struct Finisher {
  const ConvShape& shape;
  const Epilogue& epilogue;
  const Block& block;

  inline __m512 affine(__m512 y, int half) const {
    const int c = block.first + 16 * half;
    if (epilogue.scale != nullptr && epilogue.bias != nullptr) {
      return _mm512_fmadd_ps(y, _mm512_loadu_ps(epilogue.scale + c),
                             _mm512_loadu_ps(epilogue.bias + c));
    }
    if (epilogue.scale != nullptr) return _mm512_mul_ps(y, _mm512_loadu_ps(epilogue.scale + c));
    if (epilogue.bias != nullptr) return _mm512_add_ps(y, _mm512_loadu_ps(epilogue.bias + c));
    return y;
  }

  inline unsigned bits_of(__m512 y, int half) const {
    const int c = block.first + 16 * half;
    if (epilogue.direction != nullptr) {
      y = _mm512_mul_ps(y, _mm512_loadu_ps(epilogue.direction + c));
    }
    const __mmask16 mask = half == 0 ? block.low : block.high;
    return _mm512_mask_cmp_ps_mask(mask, y, _mm512_loadu_ps(epilogue.thresholds + c), _CMP_GE_OQ);
  }

  inline void finish(__m512 low, __m512 high, int y, int x) const {
    const std::ptrdiff_t pixel = static_cast<std::ptrdiff_t>(y) * shape.out_width + x;
    const std::ptrdiff_t at = pixel * shape.out_channels + block.first;
    if (epilogue.position != nullptr) {
      const __m512 factor = _mm512_set1_ps(epilogue.position[pixel]);
      low = _mm512_mul_ps(low, factor);
      high = _mm512_mul_ps(high, factor);
    }
    low = affine(low, 0);
    high = affine(high, 1);
    if (epilogue.residual != nullptr) {
      low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(block.low, epilogue.residual + at));
      high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(block.high, epilogue.residual + at + 16));
    }
    if (epilogue.thresholds != nullptr) {
      store_bits(epilogue.bits, y, x, block.first, bits_of(low, 0) | bits_of(high, 1) << 16);
    }
    if (epilogue.out == nullptr) return;
    if (epilogue.relu) {
      low = relu(low);
      high = relu(high);
    }
    _mm512_mask_storeu_ps(epilogue.out + at, block.low, low);
    _mm512_mask_storeu_ps(epilogue.out + at + 16, block.high, high);
  }

  inline unsigned bits_of_sums(__m512i sums, int half) const {
    const int c = block.first + 16 * half;
    if (epilogue.sum_direction != nullptr) {
      sums = _mm512_mullo_epi32(sums, _mm512_loadu_si512(epilogue.sum_direction + c));
    }
    const __mmask16 mask = half == 0 ? block.low : block.high;
    return _mm512_mask_cmp_epi32_mask(mask, sums, _mm512_loadu_si512(epilogue.sum_thresholds + c),
                                      _MM_CMPINT_NLT);
  }

  inline void finish_sums(__m512i low, __m512i high, int y, int x) const {
    if (epilogue.sum_thresholds == nullptr) {
      return finish(_mm512_cvtepi32_ps(low), _mm512_cvtepi32_ps(high), y, x);
    }
    store_bits(epilogue.bits, y, x, block.first,
               bits_of_sums(low, 0) | bits_of_sums(high, 1) << 16);
  }
};

/// Runs of words: what binary and integer convolutions have in common.
struct Runs {
  const std::uint8_t* data;
  std::ptrdiff_t row_bytes;
  std::ptrdiff_t step;  ///< bytes from an output pixel's run to the next one's
  const void* weights;  ///< of the block
  int words;
  unsigned last_mask;
};

struct CountBits {
  static inline __m512i add(__m512i sum, __m512i x, __m512i w, __m512i) {
    return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(x, w)));
  }
  /// The bits of (x ^ w) & mask.
  static inline __m512i add_last(__m512i sum, __m512i x, __m512i w, __m512i mask) {
    return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_ternarylogic_epi32(x, w, mask, 0x28)));
  }
};
struct MultiplyBytes {
  static inline __m512i add(__m512i sum, __m512i x, __m512i w, __m512i) {
    return _mm512_dpbusd_epi32(sum, x, w);
  }
  static inline __m512i add_last(__m512i sum, __m512i x, __m512i w, __m512i) {
    return _mm512_dpbusd_epi32(sum, x, w);
  }
};

inline __m512i broadcast(const std::uint8_t* bytes) {
  int word;
  __builtin_memcpy(&word, bytes, 4);
  return _mm512_set1_epi32(word);
}

template <class Operation, int pixels>
inline void sum_tile(const Runs& runs, int kernel_height, const std::uint8_t* first,
                     __m512i (&low)[pixels], __m512i (&high)[pixels]) {
  for (int p = 0; p < pixels; ++p) low[p] = high[p] = _mm512_setzero_si512();
  const auto* weights = static_cast<const std::int32_t*>(runs.weights);
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(runs.last_mask));
  const bool whole = runs.last_mask == ~0U;
  const int plain = whole ? runs.words : runs.words - 1;
  for (int u = 0; u < kernel_height; ++u) {
    const std::uint8_t* run = first + u * runs.row_bytes;
    for (int w = 0; w < plain; ++w, weights += lanes, run += 4) {
      const __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 16);
#pragma GCC unroll 8
      for (int p = 0; p < pixels; ++p) {
        const __m512i x = broadcast(run + p * runs.step);
        low[p] = Operation::add(low[p], x, w0, mask);
        high[p] = Operation::add(high[p], x, w1, mask);
      }
    }
    if (whole) continue;
    const __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 16);
    weights += lanes;
#pragma GCC unroll 8
    for (int p = 0; p < pixels; ++p) {
      const __m512i x = broadcast(run + p * runs.step);
      low[p] = Operation::add_last(low[p], x, w0, mask);
      high[p] = Operation::add_last(high[p], x, w1, mask);
    }
  }
}

/// Sums to what the levels make: terms - 2 * different + border.
struct BinaryTail {
  const BinaryConv& conv;
  int channels;

  inline void operator()(__m512i& low, __m512i& high, const Block& block, int y, int x) const {
    const __m512i terms = _mm512_set1_epi32(conv.terms);
    low = _mm512_sub_epi32(terms, _mm512_add_epi32(low, low));
    high = _mm512_sub_epi32(terms, _mm512_add_epi32(high, high));
    const int at = conv.row_case[y] * conv.column_cases + conv.column_case[x];
    if (at == 0) return;
    const std::int32_t* border =
        conv.border_sums + static_cast<std::ptrdiff_t>(at) * channels + block.first;
    low = _mm512_add_epi32(low, _mm512_loadu_si512(border));
    high = _mm512_add_epi32(high, _mm512_loadu_si512(border + 16));
  }
};
struct IntegerTail {
  const IntegerConv& conv;

  inline void operator()(__m512i& low, __m512i& high, const Block& block, int, int) const {
    const __m512i factor = _mm512_set1_epi32(conv.factor);
    const std::int32_t* offset = conv.offset + block.first;
    low = _mm512_add_epi32(_mm512_mullo_epi32(low, factor), _mm512_loadu_si512(offset));
    high = _mm512_add_epi32(_mm512_mullo_epi32(high, factor), _mm512_loadu_si512(offset + 16));
  }
};

template <class Operation, int pixels, class Tail>
inline void tile(const ConvShape& shape, const Runs& runs, const Block& block,
                 const Epilogue& epilogue, const Tail& tail, int y, int x) {
  const std::uint8_t* first = runs.data +
                              (y * shape.stride_height - shape.pad_height) * runs.row_bytes +
                              static_cast<std::ptrdiff_t>(x) * runs.step;
  __m512i low[pixels], high[pixels];
  sum_tile<Operation, pixels>(runs, shape.kernel_height, first, low, high);
  const Finisher finisher{shape, epilogue, block};
#pragma GCC unroll 8
  for (int p = 0; p < pixels; ++p) {
    tail(low[p], high[p], block, y, x + p);
    finisher.finish_sums(low[p], high[p], y, x + p);
  }
}

template <class Operation, class Tail>
void rows(const ConvShape& shape, const Runs& runs, const Block& block, const Epilogue& epilogue,
          const Tail& tail, int first_row, int last_row) {
  for (int y = first_row; y < last_row; ++y) {
    int x = 0;
    for (; x + 8 <= shape.out_width; x += 8) {
      tile<Operation, 8>(shape, runs, block, epilogue, tail, y, x);
    }
    if (x + 4 <= shape.out_width) {
      tile<Operation, 4>(shape, runs, block, epilogue, tail, y, x);
      x += 4;
    }
    if (x + 2 <= shape.out_width) {
      tile<Operation, 2>(shape, runs, block, epilogue, tail, y, x);
      x += 2;
    }
    if (x < shape.out_width) tile<Operation, 1>(shape, runs, block, epilogue, tail, y, x);
  }
}

void binary(const BinaryConv& conv, const Bits& x, int first_row, int last_row,
            const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  if (shape.groups != 1) {
    return portable_kernels().binary(conv, x, first_row, last_row, epilogue);
  }
  const int channels = padded(shape.out_channels);
  const std::ptrdiff_t words =
      static_cast<std::ptrdiff_t>(shape.kernel_height) * conv.words * lanes;
  for (int first = 0; first < shape.out_channels; first += lanes) {
    const Runs runs{x.data - static_cast<std::ptrdiff_t>(shape.pad_width) * x.pixel_bytes,
                    x.row_bytes,
                    static_cast<std::ptrdiff_t>(shape.stride_width) * x.pixel_bytes,
                    conv.weights + first / lanes * words,
                    conv.words,
                    conv.last_mask};
    rows<CountBits>(shape, runs, block_of(first, shape.out_channels - first), epilogue,
                    BinaryTail{conv, channels}, first_row, last_row);
  }
}

void integer(const IntegerConv& conv, const Bytes& x, int first_row, int last_row,
             const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  if (shape.groups != 1) {
    return portable_kernels().integer(conv, x, first_row, last_row, epilogue);
  }
  const std::ptrdiff_t bytes =
      static_cast<std::ptrdiff_t>(shape.kernel_height) * conv.run * lanes * 4;
  for (int first = 0; first < shape.out_channels; first += lanes) {
    const Runs runs{x.data - static_cast<std::ptrdiff_t>(shape.pad_width) * x.pixel_bytes,
                    x.row_bytes,
                    static_cast<std::ptrdiff_t>(shape.stride_width) * x.pixel_bytes,
                    conv.weights + first / lanes * bytes,
                    conv.run,
                    ~0U};
    rows<MultiplyBytes>(shape, runs, block_of(first, shape.out_channels - first), epilogue,
                        IntegerTail{conv}, first_row, last_row);
  }
}

/// One kernel position of a tile: `count` input channels.
template <int pixels>
inline void add_position(const float* x, std::ptrdiff_t step, const float* weights, int count,
                         __m512 (&low)[pixels], __m512 (&high)[pixels]) {
  for (int k = 0; k < count; ++k, weights += lanes) {
    const __m512 w0 = _mm512_loadu_ps(weights), w1 = _mm512_loadu_ps(weights + 16);
#pragma GCC unroll 12
    for (int p = 0; p < pixels; ++p) {
      const __m512 value = _mm512_set1_ps(x[p * step + k]);
      low[p] = _mm512_fmadd_ps(value, w0, low[p]);
      high[p] = _mm512_fmadd_ps(value, w1, high[p]);
    }
  }
}

template <int pixels>
inline void float_tile(const ConvShape& shape, const float* input, const float* weights,
                       const Block& block, const Epilogue& epilogue, int y, int x) {
  const std::ptrdiff_t channels = shape.in_channels;
  const std::ptrdiff_t step = shape.stride_width * channels;
  __m512 low[pixels], high[pixels];
  for (int p = 0; p < pixels; ++p) low[p] = high[p] = _mm512_setzero_ps();
  for (int u = 0; u < shape.kernel_height; ++u) {
    const int row = y * shape.stride_height + u - shape.pad_height;
    if (row < 0 || row >= shape.in_height) {
      weights += static_cast<std::ptrdiff_t>(shape.kernel_width) * channels * lanes;
      continue;
    }
    const float* line = input + static_cast<std::ptrdiff_t>(row) * shape.in_width * channels;
    for (int v = 0; v < shape.kernel_width; ++v, weights += channels * lanes) {
      const int column = x * shape.stride_width + v - shape.pad_width;
      const int last = column + (pixels - 1) * shape.stride_width;
      const float* first = line + column * channels;
      if (column >= 0 && last < shape.in_width) {
        add_position<pixels>(first, step, weights, shape.in_channels, low, high);
        continue;
      }
      for (int p = 0; p < pixels; ++p) {
        const int at = column + p * shape.stride_width;
        if (at < 0 || at >= shape.in_width) continue;
        __m512 one_low[1] = {low[p]}, one_high[1] = {high[p]};
        add_position<1>(first + p * step, 0, weights, shape.in_channels, one_low, one_high);
        low[p] = one_low[0];
        high[p] = one_high[0];
      }
    }
  }
  const Finisher finisher{shape, epilogue, block};
  for (int p = 0; p < pixels; ++p) finisher.finish(low[p], high[p], y, x + p);
}

void floating(const FloatConv& conv, const float* x, int first_row, int last_row,
              const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  if (shape.groups != 1) {
    return portable_kernels().floating(conv, x, first_row, last_row, epilogue);
  }
  const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(shape.kernel_height) *
                              shape.kernel_width * shape.in_channels * lanes;
  for (int first = 0; first < shape.out_channels; first += lanes) {
    const Block block = block_of(first, shape.out_channels - first);
    const float* weights = conv.weights + first / lanes * size;
    for (int y = first_row; y < last_row; ++y) {
      int column = 0;
      for (; column + 8 <= shape.out_width; column += 8) {
        float_tile<8>(shape, x, weights, block, epilogue, y, column);
      }
      if (column + 4 <= shape.out_width) {
        float_tile<4>(shape, x, weights, block, epilogue, y, column);
        column += 4;
      }
      for (; column < shape.out_width; ++column) {
        float_tile<1>(shape, x, weights, block, epilogue, y, column);
      }
    }
  }
}

void encode_bits(const float* x, int pixels, int channels, const float* thresholds,
                 const float* direction, std::uint8_t* bits, int pixel_bytes) {
  const Bits to{bits, pixel_bytes, 0};
  for (int p = 0; p < pixels; ++p, x += channels) {
    for (int first = 0; first < channels; first += lanes) {
      const Block block = block_of(first, channels - first);
      const auto half = [&](int offset, __mmask16 mask) {
        __m512 values = _mm512_maskz_loadu_ps(mask, x + first + offset);
        if (direction != nullptr) {
          values = _mm512_mul_ps(values, _mm512_loadu_ps(direction + first + offset));
        }
        return static_cast<unsigned>(_mm512_mask_cmp_ps_mask(
            mask, values, _mm512_loadu_ps(thresholds + first + offset), _CMP_GE_OQ));
      };
      store_bits(to, 0, p, first, half(0, block.low) | half(16, block.high) << 16);
    }
  }
}

constexpr Kernels kernels = {"avx512", binary, integer, floating, encode_bits};

}  // namespace

const Kernels* avx512_kernels() {
  return &kernels;
}

}  // namespace qhost::runtime

#else

namespace qhost::runtime {

const Kernels* avx512_kernels() {
  return nullptr;
}

}  // namespace qhost::runtime

#endif
