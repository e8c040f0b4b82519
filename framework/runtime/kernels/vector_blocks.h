/// kernels/vector_blocks.h: the way of a convolution through its blocks of channels and its tiles of
/// pixels. A job J has `prepare(block)` and `tile<P, V>(block, pixels)`.
#pragma once

#include "runtime/kernels/vector_epilogue.h"

namespace qhost::runtime {
namespace {

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

}  // namespace
}  // namespace qhost::runtime
