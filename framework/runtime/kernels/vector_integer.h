/// kernels/vector_integer.h: convolutions of 8-bit weights and codes of a byte.
#pragma once

#include "runtime/kernels/vector_blocks.h"
#include "runtime/kernels/vector_epilogue.h"

namespace qhost::runtime {
namespace {

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

}  // namespace
}  // namespace qhost::runtime
