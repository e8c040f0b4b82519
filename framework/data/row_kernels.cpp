#include "data/row_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <array>

namespace qhost::data {
namespace {

// A compiler cannot contract a subtraction and a following multiplication into a fused operation.
inline __attribute__((always_inline)) void planar_rows(const PixelView& in, const float* offset,
                                                       const float* factor, float* out) {
  const std::int64_t width = in.width;
  for (std::int64_t c = 0; c < in.channels; ++c) {
    const float o = offset[c], f = factor[c];
    for (std::int64_t y = 0; y < in.height; ++y, out += width) {
      const std::uint8_t* row = in.origin + c * in.plane_stride + y * in.row_stride;
      if (in.flip) {
        for (std::int64_t x = 0; x < width; ++x) {
          out[x] = (static_cast<float>(row[width - 1 - x]) - o) * f;
        }
      } else {
        for (std::int64_t x = 0; x < width; ++x) out[x] = (static_cast<float>(row[x]) - o) * f;
      }
    }
  }
}

void planar_portable(const PixelView& in, const float* offset, const float* factor, float* out) {
  planar_rows(in, offset, factor, out);
}

void interleaved_portable(const PixelView& in, const float* offset, const float* factor,
                          float* out) {
  for (std::int64_t y = 0; y < in.height; ++y, out += in.width * in.channels) {
    for (std::int64_t c = 0; c < in.channels; ++c) {
      const std::uint8_t* row = in.origin + c * in.plane_stride + y * in.row_stride;
      for (std::int64_t x = 0; x < in.width; ++x) {
        const std::uint8_t pixel = row[in.flip ? in.width - 1 - x : x];
        out[x * in.channels + c] = (static_cast<float>(pixel) - offset[c]) * factor[c];
      }
    }
  }
}

#if defined(__x86_64__)

/// Byte shuffles that interleave 16 pixels of 3 planes into 48 bytes: shuffle[k][c] moves plane c's
/// share of bytes 16k .. 16k+15 to its position and clears the rest. With `flip`, pixel 15 comes
/// first.
using Weave = std::array<std::array<std::array<std::int8_t, 16>, 3>, 3>;
constexpr Weave weave(bool flip) {
  Weave shuffle{};
  for (int k = 0; k < 3; ++k) {
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < 16; ++i) {
        const int position = 16 * k + i, pixel = position / 3;
        shuffle[static_cast<std::size_t>(k)][static_cast<std::size_t>(c)]
               [static_cast<std::size_t>(i)] = static_cast<std::int8_t>(position % 3 != c ? -128
                                                                        : flip ? 15 - pixel
                                                                               : pixel);
      }
    }
  }
  return shuffle;
}
alignas(64) constexpr Weave weave_forward = weave(false);
alignas(64) constexpr Weave weave_backward = weave(true);

__attribute__((target("avx2"))) void planar_avx2(const PixelView& in, const float* offset,
                                                 const float* factor, float* out) {
  planar_rows(in, offset, factor, out);
}

__attribute__((target("avx2"))) inline void write_eight(__m128i bytes, __m256 offset, __m256 factor,
                                                        float* out) {
  const __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
  _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_sub_ps(values, offset), factor));
}

/// For three planes with rows of a multiple of 16 pixels.
__attribute__((target("avx2"))) void weave_rows(const PixelView& in, const float* offset,
                                                const float* factor, float* out) {
  // Eight floats that start at channel p: three vectors cover all positions.
  __m256 offsets[3], factors[3];
  for (int p = 0; p < 3; ++p) {
    const int a = p, b = (p + 1) % 3, c = (p + 2) % 3;
    offsets[p] = _mm256_setr_ps(offset[a], offset[b], offset[c], offset[a], offset[b], offset[c],
                                offset[a], offset[b]);
    factors[p] = _mm256_setr_ps(factor[a], factor[b], factor[c], factor[a], factor[b], factor[c],
                                factor[a], factor[b]);
  }
  const Weave& shuffle = in.flip ? weave_backward : weave_forward;
  for (std::int64_t y = 0; y < in.height; ++y) {
    const std::uint8_t* row = in.origin + y * in.row_stride;
    for (std::int64_t x = 0; x < in.width; x += 16, out += 48) {
      const std::uint8_t* at = row + (in.flip ? in.width - 16 - x : x);
      __m128i planes[3];
      for (int c = 0; c < 3; ++c) {
        planes[c] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + c * in.plane_stride));
      }
      for (std::size_t k = 0; k < 3; ++k) {
        __m128i woven = _mm_setzero_si128();
        for (std::size_t c = 0; c < 3; ++c) {
          const auto* mask = reinterpret_cast<const __m128i*>(shuffle[k][c].data());
          woven = _mm_or_si128(woven, _mm_shuffle_epi8(planes[c], _mm_load_si128(mask)));
        }
        const std::size_t p = 16 * k % 3, q = (16 * k + 8) % 3;
        write_eight(woven, offsets[p], factors[p], out + 16 * k);
        write_eight(_mm_srli_si128(woven, 8), offsets[q], factors[q], out + 16 * k + 8);
      }
    }
  }
}

__attribute__((target("avx2"))) void interleaved_avx2(const PixelView& in, const float* offset,
                                                      const float* factor, float* out) {
  if (in.channels == 1) {
    planar_rows(in, offset, factor, out);
  } else if (in.channels == 3 && in.width % 16 == 0) {
    weave_rows(in, offset, factor, out);
  } else {
    interleaved_portable(in, offset, factor, out);
  }
}

constexpr RowKernels avx2 = {"avx2", planar_avx2, interleaved_avx2};

#endif

constexpr RowKernels portable = {"portable", planar_portable, interleaved_portable};

}  // namespace

const RowKernels& portable_row_kernels() {
  return portable;
}

const RowKernels& row_kernels() {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return avx2;
#endif
  return portable;
}

}  // namespace qhost::data
