/// kernels/vector_tile.h: what the convolutions over vectors of an instruction set share. All vector_*.h
/// are for avx2.cpp and avx512.cpp and have internal linkage: they are compiled once for each.
///
/// One lane belongs to one output channel, so that no sum is ever taken across a vector. A tile is P
/// output pixels by V vectors of channels; its sums stay in registers. In each step it loads V
/// vectors of weights and, for each pixel, one word of 4 bytes that all lanes share: 32 bits, 4
/// codes, or one float. The pixels of a tile follow each other in the order of rows, also across the
/// end of a row, so that images narrower than a tile fill it too. The block of channels is the
/// outermost loop: its weights serve the whole image before the next ones are read.
///
/// An instruction set I has:
///     lanes, Ints, Floats     32-bit lanes of a vector, and the vectors
///     Some                    which lanes of a vector memory has
///     Binary, Integer, Float  the steps of a convolution: `pixels` of a tile, Weights, Word, Sum;
///                             add(sum, weights, word); `burst`: the steps after which sums must
///                             be flushed, 0: none
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "runtime/kernels.h"

#define QHOST_INLINE [[gnu::always_inline]] inline
#define QHOST_INLINE_LAMBDA __attribute__((always_inline))
#define QHOST_UNROLL _Pragma("GCC unroll 16")
#define QHOST_ROLL _Pragma("GCC unroll 1")

namespace qhost::runtime {
namespace {

constexpr int word_bytes = 4;
/// Weights of one step: a word for each channel of a block.
constexpr int step_bytes = channel_block * word_bytes;

constexpr int smaller(int a, int b) {
  return a < b ? a : b;
}

/// What a call has to do: rows of an image.
struct Job {
  const ConvShape& shape;
  const Epilogue& epilogue;
  int first_row, last_row;
  const std::uint8_t* data;  ///< pixel (0, 0)
  std::ptrdiff_t row_bytes, pixel_bytes;
  /// The words of a kernel row: `segments` of `words` side by side, the first ones of two segments
  /// a pixel apart.
  int segments, words;
  std::ptrdiff_t group_bytes;  ///< of an input pixel
  const std::uint8_t* all_weights;
  std::ptrdiff_t kernel_row_bytes;  ///< of weights
};

/// Output channels [first, first + count), no more than a tile computes at once.
struct Block {
  int first = 0, count = 0;
  std::ptrdiff_t group_offset = 0;  ///< of the input pixel's bytes
  const std::uint8_t* weights = nullptr;
  std::uint32_t mask = 0;                              ///< a bit for each channel
  int bytes = 0;                                       ///< of bits that it stores; 0: see put_bits
  alignas(64) std::int32_t limit[channel_block] = {};  ///< see BinaryJob
  std::uint32_t flip = 0;
};

/// The output pixels of a tile; where there are fewer than P, the last one again.
template <int P>
struct Pixels {
  int count;
  bool one_row;          ///< and P of them
  int y, x;              ///< of the first
  std::ptrdiff_t first;  ///< its number in the image
  const std::uint8_t* in[P];
  int ys[P], xs[P];  ///< unless they are in one row

  QHOST_INLINE std::ptrdiff_t number(int p) const { return first + smaller(p, count - 1); }
};

template <int P>
QHOST_INLINE void find_pixels(const Job& job, std::ptrdiff_t group_offset, int y, int x, int count,
                              Pixels<P>& pixels) {
  const ConvShape& s = job.shape;
  pixels.count = count;
  pixels.one_row = count == P && x + P <= s.out_width;
  pixels.y = y;
  pixels.x = x;
  pixels.first = static_cast<std::ptrdiff_t>(y) * s.out_width + x;
  const std::ptrdiff_t step = job.pixel_bytes * s.stride_width;
  const std::ptrdiff_t down = job.row_bytes * s.stride_height;
  const std::uint8_t* row = job.data + group_offset + y * down - s.pad_height * job.row_bytes -
                            s.pad_width * job.pixel_bytes;
  if (pixels.one_row) {
    row += x * step;
    QHOST_UNROLL for (int p = 0; p < P; ++p) pixels.in[p] = row + p * step;
    pixels.ys[0] = y;  // for g++, which follows a path that no tile takes
    pixels.xs[0] = x;
    return;
  }
  QHOST_UNROLL for (int p = 0; p < P; ++p) {
    pixels.in[p] = row + x * step;
    pixels.ys[p] = y;
    pixels.xs[p] = x;
    if (p + 1 >= count) continue;
    if (++x < s.out_width) continue;
    x = 0;
    ++y;
    row += down;
  }
}

/// `words` steps over words side by side.
template <class Step, int P, int V>
QHOST_INLINE void steps(typename Step::Sum (&sums)[P][V], const std::uint8_t* const (&in)[P],
                        std::ptrdiff_t offset, const std::uint8_t* weights, int words) {
  for (int i = 0; i < words; ++i, offset += word_bytes, weights += step_bytes) {
    typename Step::Weights w[V];
    QHOST_UNROLL for (int v = 0; v < V; ++v) w[v] = Step::weights(weights + v * Step::vector_bytes);
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      const typename Step::Word x = Step::word(in[p] + offset);
      QHOST_UNROLL for (int v = 0; v < V; ++v) Step::add(sums[p][v], w[v], x);
    }
  }
}

/// The sums of a tile, with flushes where a step needs them.
template <class Step, int P, int V>
struct Sums {
  typename Step::Sum sums[P][V];
  int room = Step::burst;

  QHOST_INLINE Sums() {
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) sums[p][v] = Step::zero();
    }
  }
  QHOST_INLINE void flush() {
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) Step::flush(sums[p][v]);
    }
    room = Step::burst;
  }
  QHOST_INLINE void add(const std::uint8_t* const (&in)[P], std::ptrdiff_t offset,
                        const std::uint8_t*& weights, int words) {
    if constexpr (Step::burst == 0) {
      steps<Step, P, V>(sums, in, offset, weights, words);
      weights += static_cast<std::ptrdiff_t>(words) * step_bytes;
    } else {
      while (words > 0) {
        if (room == 0) flush();
        const int some = smaller(words, room);
        steps<Step, P, V>(sums, in, offset, weights, some);
        weights += static_cast<std::ptrdiff_t>(some) * step_bytes;
        offset += static_cast<std::ptrdiff_t>(some) * word_bytes;
        words -= some;
        room -= some;
      }
    }
  }
  QHOST_INLINE void finish() {
    if constexpr (Step::burst != 0) flush();
  }
};

}  // namespace
}  // namespace qhost::runtime
