/// kernels/vector_epilogue.h: from the sums of a tile to bits and floats; see Epilogue in
/// runtime/kernels.h.
#pragma once

#include "runtime/kernels/vector_tile.h"

namespace qhost::runtime {
namespace {

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

}  // namespace
}  // namespace qhost::runtime
