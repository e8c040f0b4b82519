/// kernels/vector_float.h: convolutions of floats; of groups of one channel, depthwise.
#pragma once

#include "runtime/kernels/vector_blocks.h"
#include "runtime/kernels/vector_epilogue.h"

namespace qhost::runtime {
namespace {

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
