/// kernels/vector_loops.h: the loops of the convolutions over vectors of an instruction set, for
/// avx2.cpp and avx512.cpp. All of it has internal linkage: it is compiled once for each of them.
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

/// Stores the bits of a block's channels. A block that shares bytes with others (of another group)
/// adds them to what is there.
QHOST_INLINE void put_bits(std::uint8_t* pixel, std::uint32_t bits, const Block& block) {
  pixel += block.first / 8;
  switch (block.bytes) {
    case 4:
      std::memcpy(pixel, &bits, 4);
      return;
    case 2:
      std::memcpy(pixel, &bits, 2);
      return;
    case 1:
      std::memcpy(pixel, &bits, 1);
      return;
    default:
      break;
  }
  const std::uint64_t shifted = static_cast<std::uint64_t>(bits) << (block.first % 8);
  const int bytes = (block.first % 8 + block.count + 7) / 8;
  for (int i = 0; i < bytes; ++i) {
    pixel[i] = static_cast<std::uint8_t>(pixel[i] | shifted >> (8 * i));
  }
}

QHOST_INLINE std::uint8_t* bits_of(const Bits& bits, int y, int x) {
  return bits.data + y * bits.row_bytes + static_cast<std::ptrdiff_t>(x) * bits.pixel_bytes;
}

template <int bytes, int P, class BitsOf>
QHOST_INLINE void put_row(std::uint8_t* to, std::ptrdiff_t step, const BitsOf& of) {
  QHOST_UNROLL for (int p = 0; p < P; ++p) {
    const std::uint32_t bits = of(p);
    std::memcpy(to + p * step, &bits, bytes);
  }
}

/// Stores the bits of a tile: `of(p)`, with a bit for each lane.
template <int P, class BitsOf>
QHOST_INLINE void put_all_bits(const Bits& to, const Pixels<P>& pixels, const Block& block,
                               const BitsOf& of) {
  const std::uint32_t mask = block.mask;
  const auto masked = [&](int p) QHOST_INLINE_LAMBDA { return of(p) & mask; };
  if (pixels.one_row) {
    std::uint8_t* first = bits_of(to, pixels.y, pixels.x) + block.first / 8;
    const std::ptrdiff_t step = to.pixel_bytes;
    if (block.bytes == 4) return put_row<4, P>(first, step, masked);
    if (block.bytes == 2) return put_row<2, P>(first, step, masked);
    if (block.bytes == 1) return put_row<1, P>(first, step, masked);
  }
  std::uint32_t bits[P];
  QHOST_UNROLL for (int p = 0; p < P; ++p) bits[p] = masked(p);
  QHOST_ROLL for (int p = 0; p < pixels.count; ++p) {
    const int y = pixels.one_row ? pixels.y : pixels.ys[p];
    const int x = pixels.one_row ? pixels.x + p : pixels.xs[p];
    put_bits(bits_of(to, y, x), bits[p], block);
  }
}

/// The epilogue of float sums, part by part over the whole tile.
template <class I, int P, int V>
QHOST_INLINE void finish_floats(typename I::Floats (&y)[P][V], const Job& job,
                                const Pixels<P>& pixels, const Block& block) {
  const Epilogue& e = job.epilogue;
  const std::ptrdiff_t channels = job.shape.out_channels;
  typename I::Some some[V];
  QHOST_UNROLL for (int v = 0; v < V; ++v) some[v] = I::some(block.count - v * I::lanes);
  if (e.position != nullptr) {
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      const auto k = I::spread(e.position[pixels.number(p)]);
      QHOST_UNROLL for (int v = 0; v < V; ++v) y[p][v] = I::times(y[p][v], k);
    }
  }
  const auto* scale = e.scale + block.first;
  const auto* bias = e.bias + block.first;
  if (e.scale != nullptr && e.bias != nullptr) {
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      const auto a = I::load(scale + v * I::lanes, some[v]);
      const auto b = I::load(bias + v * I::lanes, some[v]);
      QHOST_UNROLL for (int p = 0; p < P; ++p) y[p][v] = I::fma(y[p][v], a, b);
    }
  } else if (e.scale != nullptr) {
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      const auto a = I::load(scale + v * I::lanes, some[v]);
      QHOST_UNROLL for (int p = 0; p < P; ++p) y[p][v] = I::times(y[p][v], a);
    }
  } else if (e.bias != nullptr) {
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      const auto b = I::load(bias + v * I::lanes, some[v]);
      QHOST_UNROLL for (int p = 0; p < P; ++p) y[p][v] = I::plus(y[p][v], b);
    }
  }
  if (e.residual != nullptr) {
    const float* residual = e.residual + pixels.first * channels + block.first;
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        y[p][v] = I::plus(y[p][v], I::load(residual + v * I::lanes, some[v]));
      }
      if (p + 1 < pixels.count) residual += channels;
    }
  }
  if (e.thresholds != nullptr) {
    typename I::Floats t[V], d[V];
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      t[v] = I::load(e.thresholds + block.first + v * I::lanes, some[v]);
    }
    if (e.direction != nullptr) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        d[v] = I::load(e.direction + block.first + v * I::lanes, some[v]);
      }
      put_all_bits<P>(e.bits, pixels, block, [&](int p) QHOST_INLINE_LAMBDA {
        std::uint32_t bits = 0;
        QHOST_UNROLL for (int v = 0; v < V; ++v) {
          bits |= I::at_least(I::times(d[v], y[p][v]), t[v]) << (v * I::lanes);
        }
        return bits;
      });
    } else {
      put_all_bits<P>(e.bits, pixels, block, [&](int p) QHOST_INLINE_LAMBDA {
        std::uint32_t bits = 0;
        QHOST_UNROLL for (int v = 0; v < V; ++v) {
          bits |= I::at_least(y[p][v], t[v]) << (v * I::lanes);
        }
        return bits;
      });
    }
  }
  if (e.out == nullptr) return;
  if (e.relu) {
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) y[p][v] = I::positive(y[p][v]);
    }
  }
  float* out = e.out + pixels.first * channels + block.first;
  QHOST_UNROLL for (int p = 0; p < P; ++p, out += channels) {
    if (p >= pixels.count) return;
    QHOST_UNROLL for (int v = 0; v < V; ++v) I::store(out + v * I::lanes, y[p][v], some[v]);
  }
}

template <class I, int P, int V>
QHOST_INLINE void finish_ints(typename I::Ints (&sums)[P][V], const Job& job,
                              const Pixels<P>& pixels, const Block& block) {
  const Epilogue& e = job.epilogue;
  if (e.sum_thresholds != nullptr) {
    typename I::Ints t[V];
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      const auto some = I::some(block.count - v * I::lanes);
      const int at = block.first + v * I::lanes;
      t[v] = I::load(e.sum_thresholds + at, some);
      if (e.sum_direction == nullptr) continue;
      const auto d = I::load(e.sum_direction + at, some);
      QHOST_UNROLL for (int p = 0; p < P; ++p) sums[p][v] = I::times(sums[p][v], d);
    }
    put_all_bits<P>(e.bits, pixels, block, [&](int p) QHOST_INLINE_LAMBDA {
      std::uint32_t bits = 0;
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        bits |= I::at_least(sums[p][v], t[v]) << (v * I::lanes);
      }
      return bits;
    });
    return;
  }
  typename I::Floats y[P][V];
  QHOST_UNROLL for (int p = 0; p < P; ++p) {
    QHOST_UNROLL for (int v = 0; v < V; ++v) y[p][v] = I::to_floats(sums[p][v]);
  }
  finish_floats<I, P, V>(y, job, pixels, block);
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

// ---- binary

template <class I>
struct BinaryJob : Job {
  using Step = typename I::Binary;
  const BinaryConv& conv;
  /// Groups that are no whole words are gathered byte by byte.
  bool gathers = false;
  int group_pixel = 0;

  static constexpr int gather_words = 16;

  /// With thresholds of sums and no border: bit = (different <= limit) != flip, where
  /// sum = terms - 2 * different.
  void prepare(Block& block) const {
    const Epilogue& e = epilogue;
    if (e.sum_thresholds == nullptr) return;
    block.flip = 0;
    const int terms = conv.terms;
    for (int i = 0; i < block.count; ++i) {
      // No sum is as large as a threshold that is changed here.
      std::int32_t t = e.sum_thresholds[block.first + i];
      t = t < -terms - 1 ? -terms - 1 : t > terms + 1 ? terms + 1 : t;
      const bool less = e.sum_direction != nullptr && e.sum_direction[block.first + i] < 0;
      block.limit[i] = less ? ((terms + t + 1) >> 1) - 1 : (terms - t) >> 1;
      block.flip |= static_cast<std::uint32_t>(less) << i;
    }
  }

  template <int P, int V>
  void tile(const Block& block, const Pixels<P>& pixels) const {
    if (gathers) {
      tile<P, V, Words::gathered>(block, pixels);
    } else if (conv.last_mask != ~0U && words == 2) {
      tile<P, V, Words::one_and_masked>(block, pixels);
    } else if (conv.last_mask != ~0U) {
      tile<P, V, Words::masked>(block, pixels);
    } else {
      tile<P, V, Words::whole>(block, pixels);
    }
  }

 private:
  /// one_and_masked: 16 channels and a kernel 3 wide, for one.
  enum class Words { whole, masked, one_and_masked, gathered };

  template <int P, int V, Words kind>
  [[gnu::noinline]] void tile(const Block& block, const Pixels<P>& pixels) const {
    Sums<Step, P, V> sums;
    const std::uint8_t* weights = block.weights;
    [[maybe_unused]] const auto all_bits = Step::mask(~0U), last_bits = Step::mask(conv.last_mask);
    for (int u = 0; u < shape.kernel_height; ++u) {
      std::ptrdiff_t offset = u * row_bytes;
      if constexpr (kind == Words::masked) {
        // The last word is partly of the pixels behind.
        for (int i = 0; i < words; ++i, offset += word_bytes) {
          const auto mask = Step::mask(i + 1 < words ? ~0U : conv.last_mask);
          masked_step(sums, pixels.in, offset, weights, mask);
        }
      } else if constexpr (kind == Words::one_and_masked) {
        masked_step(sums, pixels.in, offset, weights, all_bits);
        masked_step(sums, pixels.in, offset + word_bytes, weights, last_bits);
      } else if constexpr (kind == Words::whole) {
        for (int s = 0; s < segments; ++s, offset += pixel_bytes) {
          sums.add(pixels.in, offset, weights, words);
        }
      } else {
        for (int done = 0; done < words; done += gather_words) {
          std::uint8_t gathered[P][gather_words * word_bytes];
          const std::uint8_t* in[P];
          const int now = smaller(gather_words, words - done);
          QHOST_UNROLL for (int p = 0; p < P; ++p) {
            in[p] = gathered[p];
            gather(pixels.in[p] + offset, done * word_bytes, now * word_bytes, gathered[p]);
          }
          sums.add(in, 0, weights, now);
        }
      }
    }
    sums.finish();
    finish(sums.sums, pixels, block);
  }

  /// One step; the word counts where `mask` is set.
  template <int P, int V>
  QHOST_INLINE void masked_step(Sums<Step, P, V>& sums, const std::uint8_t* const (&in)[P],
                                std::ptrdiff_t offset, const std::uint8_t*& weights,
                                typename Step::Word mask) const {
    if constexpr (Step::burst != 0) {
      if (sums.room == 0) sums.flush();
      --sums.room;
    }
    typename Step::Weights w[V];
    QHOST_UNROLL for (int v = 0; v < V; ++v) w[v] = Step::weights(weights + v * Step::vector_bytes);
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      const typename Step::Word word = Step::word(in[p] + offset);
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        Step::add_masked(sums.sums[p][v], w[v], word, mask);
      }
    }
    weights += step_bytes;
  }

  /// Bytes [first, first + count) of the run of a group's pixels, as the weights have it.
  [[gnu::noinline]] void gather(const std::uint8_t* run, int first, int count,
                                std::uint8_t* to) const {
    for (int i = 0; i < count; ++i) {
      const int tap = (first + i) / group_pixel, byte = (first + i) % group_pixel;
      const bool there = tap < shape.kernel_width && byte < group_bytes;
      to[i] = there ? run[tap * pixel_bytes + byte] : std::uint8_t{0};
    }
  }

  template <int P, int V>
  QHOST_INLINE void finish(typename Step::Sum (&different)[P][V], const Pixels<P>& pixels,
                           const Block& block) const {
    const Epilogue& e = epilogue;
    int cases[P];
    int border = 0;
    if (pixels.one_row) {
      const int row = conv.row_case[pixels.y] * conv.column_cases;
      const int* column = conv.column_case + pixels.x;
      QHOST_UNROLL for (int p = 0; p < P; ++p) border |= cases[p] = row + column[p];
    } else {
      QHOST_UNROLL for (int p = 0; p < P; ++p) {
        border |= cases[p] =
            conv.row_case[pixels.ys[p]] * conv.column_cases + conv.column_case[pixels.xs[p]];
      }
    }
    if (border == 0 && e.sum_thresholds != nullptr) {
      typename I::Ints limit[V];
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        limit[v] = I::load(block.limit + v * I::lanes, I::some(I::lanes));
      }
      const std::uint32_t flip = block.flip;
      put_all_bits<P>(e.bits, pixels, block, [&](int p) QHOST_INLINE_LAMBDA {
        std::uint32_t bits = 0;
        QHOST_UNROLL for (int v = 0; v < V; ++v) {
          bits |= I::at_least(limit[v], Step::count(different[p][v])) << (v * I::lanes);
        }
        return bits ^ flip;
      });
      return;
    }
    const auto terms = I::spread(static_cast<std::int32_t>(conv.terms));
    typename I::Ints sums[P][V];
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        sums[p][v] = I::minus_twice(terms, Step::count(different[p][v]));
      }
    }
    if (border != 0) {
      const std::ptrdiff_t channels = padded(shape.out_channels);
      QHOST_UNROLL for (int p = 0; p < P; ++p) {
        if (cases[p] == 0) continue;
        const std::int32_t* add = conv.border_sums + cases[p] * channels + block.first;
        QHOST_UNROLL for (int v = 0; v < V; ++v) {
          const auto some = I::some(block.count - v * I::lanes);
          sums[p][v] = I::plus(sums[p][v], I::load(add + v * I::lanes, some));
        }
      }
    }
    finish_ints<I, P, V>(sums, *this, pixels, block);
  }
};

// ---- integer

template <class I>
struct IntegerJob : Job {
  using Step = typename I::Integer;
  const IntegerConv& conv;

  void prepare(Block&) const {}

  template <int P, int V>
  [[gnu::noinline]] void tile(const Block& block, const Pixels<P>& pixels) const {
    Sums<Step, P, V> sums;
    const std::uint8_t* weights = block.weights;
    for (int u = 0; u < shape.kernel_height; ++u) {
      std::ptrdiff_t offset = u * row_bytes;
      for (int s = 0; s < segments; ++s, offset += pixel_bytes) {
        sums.add(pixels.in, offset, weights, words);
      }
    }
    sums.finish();
    typename I::Ints all[P][V];
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) all[p][v] = Step::count(sums.sums[p][v]);
    }
    if (conv.factor != 1) {
      const auto factor = I::spread(conv.factor);
      QHOST_UNROLL for (int p = 0; p < P; ++p) {
        QHOST_UNROLL for (int v = 0; v < V; ++v) all[p][v] = I::times(all[p][v], factor);
      }
    }
    QHOST_UNROLL for (int v = 0; v < V; ++v) {
      const auto offset =
          I::load(conv.offset + block.first + v * I::lanes, I::some(block.count - v * I::lanes));
      QHOST_UNROLL for (int p = 0; p < P; ++p) {
        all[p][v] = I::plus(all[p][v], offset);
      }
    }
    finish_ints<I, P, V>(all, *this, pixels, block);
  }
};

// ---- float

/// Where the kernel begins for each pixel.
template <class I, int P>
QHOST_INLINE void find_places(const ConvShape& s, const Pixels<P>& pixels, typename I::Places& rows,
                              typename I::Places& columns) {
  if (pixels.one_row) {
    rows = I::ramp(pixels.y * s.stride_height - s.pad_height, 0);
    columns = I::ramp(pixels.x * s.stride_width - s.pad_width, s.stride_width);
    return;
  }
  int row[I::most_pixels] = {}, column[I::most_pixels] = {};
  QHOST_UNROLL for (int p = 0; p < P; ++p) {
    row[p] = pixels.ys[p] * s.stride_height - s.pad_height;
    column[p] = pixels.xs[p] * s.stride_width - s.pad_width;
  }
  rows = I::places(row);
  columns = I::places(column);
}

template <class I>
struct FloatJob : Job {
  using Step = typename I::Float;
  const FloatConv& conv;

  void prepare(Block&) const {}

  template <int P, int V>
  [[gnu::noinline]] void tile(const Block& block, const Pixels<P>& pixels) const {
    Sums<Step, P, V> sums;
    const std::uint8_t* weights = block.weights;
    typename I::Places rows, columns;
    find_places<I, P>(shape, pixels, rows, columns);
    constexpr unsigned all = (1U << P) - 1;
    const unsigned inner = I::inside(rows, 0, shape.in_height) &
                           I::inside(rows, shape.kernel_height - 1, shape.in_height) &
                           I::inside(columns, 0, shape.in_width) &
                           I::inside(columns, shape.kernel_width - 1, shape.in_width);
    if ((inner & all) == all) {
      for (int u = 0; u < shape.kernel_height; ++u) {
        std::ptrdiff_t offset = u * row_bytes;
        for (int s = 0; s < segments; ++s, offset += pixel_bytes) {
          sums.add(pixels.in, offset, weights, words);
        }
      }
    } else {
      border(sums, pixels, rows, columns, block);
    }
    finish_floats<I, P, V>(sums.sums, *this, pixels, block);
  }

 private:
  /// Position by position of the kernel; the pixels for which it lies outside take no part.
  template <int P, int V>
  QHOST_INLINE void border(Sums<Step, P, V>& sums, const Pixels<P>& pixels, typename I::Places rows,
                           typename I::Places columns, const Block& block) const {
    constexpr unsigned all = (1U << P) - 1;
    const int in = shape.in_channels / shape.groups;
    const std::uint8_t* weights = block.weights;
    for (int u = 0; u < shape.kernel_height; ++u) {
      const unsigned row = I::inside(rows, u, shape.in_height) & all;
      for (int v = 0; v < shape.kernel_width; ++v) {
        const std::ptrdiff_t offset = u * row_bytes + v * pixel_bytes;
        const unsigned valid = row & I::inside(columns, v, shape.in_width);
        if (valid == all) {
          sums.add(pixels.in, offset, weights, in);
          continue;
        }
        if (valid != 0) some(sums, pixels, offset, valid, block, weights, in);
        weights += static_cast<std::ptrdiff_t>(in) * step_bytes;
      }
    }
  }

  template <int P, int V>
  QHOST_INLINE void some(Sums<Step, P, V>& sums, const Pixels<P>& pixels, std::ptrdiff_t offset,
                         unsigned valid, const Block& block, const std::uint8_t* weights,
                         int count) const {
    const std::uint8_t* in[P];
    typename Step::Switch on[P];
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      const bool is_valid = (valid >> p & 1) != 0;
      // What is read for the others is not used, but must be there.
      in[p] = is_valid ? pixels.in[p] + offset : data + block.group_offset;
      on[p] = Step::switched(is_valid);
    }
    for (std::ptrdiff_t i = 0; i < count; ++i, weights += step_bytes) {
      typename Step::Weights w[V];
      QHOST_UNROLL for (int v = 0; v < V; ++v) {
        w[v] = Step::weights(weights + v * Step::vector_bytes);
      }
      QHOST_UNROLL for (int p = 0; p < P; ++p) {
        const typename Step::Word x = Step::word(in[p] + i * word_bytes);
        QHOST_UNROLL for (int v = 0; v < V; ++v) Step::add_if(on[p], sums.sums[p][v], w[v], x);
      }
    }
  }
};

/// Float convolutions whose groups have one channel. A lane is a channel on both sides: what would be
/// one useful lane of each group's weights is gathered to vectors of 32 groups.
template <class I>
struct DepthwiseJob : Job {
  using Step = typename I::Float;
  const FloatConv& conv;

  static constexpr int most_taps = 49;

  void prepare(Block&) const {}

  template <int P, int V>
  [[gnu::noinline]] void tile(const Block& block, const Pixels<P>& pixels) const {
    typename I::Floats sums[P][V];
    typename I::Some some[V];
    QHOST_UNROLL for (int v = 0; v < V; ++v) some[v] = I::some(block.count - v * I::lanes);
    QHOST_UNROLL for (int p = 0; p < P; ++p) {
      QHOST_UNROLL for (int v = 0; v < V; ++v) sums[p][v] = I::spread(0.0F);
    }
    typename I::Places rows, columns;
    find_places<I, P>(shape, pixels, rows, columns);
    constexpr unsigned all = (1U << P) - 1;
    const std::uint8_t* weights = block.weights;
    for (int u = 0; u < shape.kernel_height; ++u) {
      const unsigned row = I::inside(rows, u, shape.in_height) & all;
      for (int tap = 0; tap < shape.kernel_width; ++tap, weights += step_bytes) {
        const unsigned valid = row & I::inside(columns, tap, shape.in_width);
        const std::ptrdiff_t offset = u * row_bytes + tap * pixel_bytes +
                                      static_cast<std::ptrdiff_t>(block.first) * word_bytes;
        typename I::Floats w[V];
        QHOST_UNROLL for (int v = 0; v < V; ++v) {
          w[v] = Step::weights(weights + v * Step::vector_bytes);
        }
        QHOST_UNROLL for (int p = 0; p < P; ++p) {
          if ((valid >> p & 1) == 0) continue;
          const auto* x = reinterpret_cast<const float*>(pixels.in[p] + offset);
          QHOST_UNROLL for (int v = 0; v < V; ++v) {
            sums[p][v] = I::fma(w[v], I::load(x + v * I::lanes, some[v]), sums[p][v]);
          }
        }
      }
    }
    finish_floats<I, P, V>(sums, *this, pixels, block);
  }
};

// ---- all of them

/// Blocks of the same group, whose weights stay in the first cache from tile to tile.
struct Blocks {
  static constexpr int most = 8;
  static constexpr std::ptrdiff_t most_bytes = 24 << 10;

  Block blocks[most];
  int count = 0;
};

template <int P, class I, class J>
[[gnu::noinline]] void run_tile(const J& job, const Blocks& blocks, int y, int x, int count) {
  Pixels<P> pixels;
  find_pixels<P>(job, blocks.blocks[0].group_offset, y, x, count, pixels);
  for (int i = 0; i < blocks.count; ++i) {
    const Block& block = blocks.blocks[i];
    if (block.count > I::lanes) {
      job.template tile<P, 2>(block, pixels);
    } else {
      job.template tile<P, 1>(block, pixels);
    }
  }
}

template <class I, class J>
void run_blocks(const J& job, Blocks& blocks) {
  constexpr int big = J::Step::pixels, half = (big + 1) / 2;
  const int width = job.shape.out_width;
  int left = (job.last_row - job.first_row) * width;
  int y = job.first_row, x = 0;
  while (left > 0) {
    const int count = smaller(left, big);
    if (count == 1) {
      run_tile<1, I>(job, blocks, y, x, 1);
    } else if (count <= half) {
      run_tile<half, I>(job, blocks, y, x, count);
    } else {
      run_tile<big, I>(job, blocks, y, x, count);
    }
    left -= count;
    for (x += count; x >= width; x -= width) ++y;
  }
  blocks.count = 0;
}

/// Channels from `part` on of the `count` channels from `first` on.
inline void fill_block(const Job& job, int first, int part, int count, int at_once, Block& block) {
  block.first = first + part;
  block.count = smaller(at_once, count - part);
  block.mask = block.count == channel_block ? ~0U : (1U << block.count) - 1;
  // The bits behind the last channel, too.
  const int whole = smaller(word_bytes, job.epilogue.bits.pixel_bytes - first / 8) - part / 8;
  block.bytes = part + at_once < count ? at_once / 8 : whole;
}

template <class I, class J>
QHOST_INLINE void run(const J& job) {
  constexpr int at_once = 2 * I::lanes;
  static_assert(at_once <= channel_block);
  const ConvShape& s = job.shape;
  const Bits& bits = job.epilogue.bits;
  const int out = s.out_channels / s.groups;
  const bool shares_bytes = s.groups > 1 && out % channel_block != 0;
  if (shares_bytes && bits.data != nullptr) {
    for (int y = job.first_row; y < job.last_row; ++y) {
      std::memset(
          bits_of(bits, y, 0), 0,
          static_cast<std::size_t>(s.out_width) * static_cast<std::size_t>(bits.pixel_bytes));
    }
  }
  const std::ptrdiff_t block_bytes = s.kernel_height * job.kernel_row_bytes;
  const std::uint8_t* weights = job.all_weights;
  Blocks blocks;
  for (int group = 0; group < s.groups; ++group) {
    std::ptrdiff_t bytes = 0;
    for (int done = 0; done < out; done += channel_block, weights += block_bytes) {
      const int count = smaller(channel_block, out - done);
      for (int part = 0; part < count; part += at_once) {
        bytes += block_bytes;
        if (blocks.count == Blocks::most || (blocks.count > 0 && bytes > Blocks::most_bytes)) {
          run_blocks<I>(job, blocks);
          bytes = block_bytes;
        }
        Block& block = blocks.blocks[blocks.count++];
        block.group_offset = group * job.group_bytes;
        fill_block(job, group * out + done, part, count, at_once, block);
        block.weights = weights + part * word_bytes;
        if (shares_bytes) block.bytes = 0;
        job.prepare(block);
      }
    }
    run_blocks<I>(job, blocks);
  }
}

template <class I>
void binary(const BinaryConv& conv, const Bits& x, int first_row, int last_row,
            const Epilogue& epilogue) {
  const ConvShape& s = conv.shape;
  const int in = s.in_channels / s.groups;
  const bool apart = s.groups > 1;
  const Job job = {.shape = s,
                   .epilogue = epilogue,
                   .first_row = first_row,
                   .last_row = last_row,
                   .data = x.data,
                   .row_bytes = x.row_bytes,
                   .pixel_bytes = x.pixel_bytes,
                   .segments = 1,
                   .words = conv.words,
                   .group_bytes = apart ? in / 8 : 0,
                   .all_weights = reinterpret_cast<const std::uint8_t*>(conv.weights),
                   .kernel_row_bytes = static_cast<std::ptrdiff_t>(conv.words) * step_bytes};
  BinaryJob<I> all = {job, conv};
  if (apart && in % 32 == 0) {
    all.segments = s.kernel_width;
    all.words = in / 32;
  } else if (apart) {
    all.gathers = true;
    all.group_pixel = bits_pixel_bytes(in);
  }
  run<I>(all);
}

template <class I>
void integer(const IntegerConv& conv, const Bytes& x, int first_row, int last_row,
             const Epilogue& epilogue) {
  const ConvShape& s = conv.shape;
  const int in = s.in_channels / s.groups;
  const bool apart = s.groups > 1;
  const Job job = {.shape = s,
                   .epilogue = epilogue,
                   .first_row = first_row,
                   .last_row = last_row,
                   .data = x.data,
                   .row_bytes = x.row_bytes,
                   .pixel_bytes = x.pixel_bytes,
                   .segments = apart ? s.kernel_width : 1,
                   .words = apart ? in / 4 : conv.run,
                   .group_bytes = apart ? in : 0,
                   .all_weights = reinterpret_cast<const std::uint8_t*>(conv.weights),
                   .kernel_row_bytes = static_cast<std::ptrdiff_t>(conv.run) * step_bytes};
  run<I>(IntegerJob<I>{job, conv});
}

template <class I>
void run_depthwise(const DepthwiseJob<I>& job) {
  constexpr int at_once = 2 * I::lanes;
  const ConvShape& s = job.shape;
  const int taps = s.kernel_height * s.kernel_width;
  alignas(64) float gathered[DepthwiseJob<I>::most_taps * channel_block] = {};
  Blocks blocks;
  for (int first = 0; first < s.out_channels; first += channel_block) {
    const int count = smaller(channel_block, s.out_channels - first);
    for (int i = 0; i < count; ++i) {
      const float* group =
          job.conv.weights + static_cast<std::ptrdiff_t>(first + i) * taps * channel_block;
      for (int t = 0; t < taps; ++t) gathered[t * channel_block + i] = group[t * channel_block];
    }
    for (int part = 0; part < count; part += at_once) {
      fill_block(job, first, part, count, at_once, blocks.blocks[0]);
      blocks.blocks[0].weights = reinterpret_cast<const std::uint8_t*>(gathered + part);
      blocks.count = 1;
      run_blocks<I>(job, blocks);
    }
  }
}

template <class I>
void floating(const FloatConv& conv, const float* x, int first_row, int last_row,
              const Epilogue& epilogue) {
  const ConvShape& s = conv.shape;
  const int in = s.in_channels / s.groups;
  const bool apart = s.groups > 1;
  const std::ptrdiff_t pixel_bytes = static_cast<std::ptrdiff_t>(s.in_channels) * word_bytes;
  const Job job = {
      .shape = s,
      .epilogue = epilogue,
      .first_row = first_row,
      .last_row = last_row,
      .data = reinterpret_cast<const std::uint8_t*>(x),
      .row_bytes = s.in_width * pixel_bytes,
      .pixel_bytes = pixel_bytes,
      .segments = apart ? s.kernel_width : 1,
      .words = apart ? in : in * s.kernel_width,
      .group_bytes = static_cast<std::ptrdiff_t>(in) * word_bytes,
      .all_weights = reinterpret_cast<const std::uint8_t*>(conv.weights),
      .kernel_row_bytes = static_cast<std::ptrdiff_t>(in) * s.kernel_width * step_bytes};
  const int taps = s.kernel_height * s.kernel_width;
  if (apart && in == 1 && s.groups == s.out_channels && taps <= DepthwiseJob<I>::most_taps) {
    run_depthwise<I>(DepthwiseJob<I>{job, conv});
  } else {
    run<I>(FloatJob<I>{job, conv});
  }
}

}  // namespace
}  // namespace qhost::runtime
