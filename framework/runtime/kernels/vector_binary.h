/// kernels/vector_binary.h: convolutions of bits and bits.
#pragma once

#include "runtime/kernels/vector_blocks.h"
#include "runtime/kernels/vector_epilogue.h"

namespace qhost::runtime {
namespace {

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

}  // namespace
}  // namespace qhost::runtime
