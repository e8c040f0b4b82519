// The kernels for CPUs with AVX2 and FMA.
#include "runtime/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "runtime/kernels/vector_binary.h"
#include "runtime/kernels/vector_encode.h"
#include "runtime/kernels/vector_float.h"
#include "runtime/kernels/vector_integer.h"

namespace qhost::runtime {
namespace {

struct Avx2 {
  static constexpr int lanes = 8;
  static constexpr int most_pixels = 8;
  using Ints = __m256i;
  using Floats = __m256;
  struct Some {
    __m256i mask;
    bool all;
  };
  using Places = __m256i;  ///< rows or columns of the pixels of a tile

  QHOST_INLINE static Some some(int count) {
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(count), numbers), count >= lanes};
  }
  QHOST_INLINE static std::uint32_t bits(Some some) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(some.mask)));
  }
  QHOST_INLINE static Floats load(const float* from, Some some) {
    return some.all ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, some.mask);
  }
  QHOST_INLINE static Ints load(const std::int32_t* from, Some some) {
    return some.all ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                    : _mm256_maskload_epi32(from, some.mask);
  }
  QHOST_INLINE static void store(float* to, Floats y, Some some) {
    if (some.all) {
      _mm256_storeu_ps(to, y);
    } else {
      _mm256_maskstore_ps(to, some.mask, y);
    }
  }
  QHOST_INLINE static Floats spread(float x) { return _mm256_set1_ps(x); }
  QHOST_INLINE static Ints spread(std::int32_t x) { return _mm256_set1_epi32(x); }
  QHOST_INLINE static Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  QHOST_INLINE static Ints times(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
  QHOST_INLINE static Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  QHOST_INLINE static Ints plus(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  QHOST_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  QHOST_INLINE static Ints minus_twice(Ints a, Ints b) {
    return _mm256_sub_epi32(a, _mm256_slli_epi32(b, 1));
  }
  QHOST_INLINE static Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
  /// Not max: -0 becomes +0, and NaN stays.
  QHOST_INLINE static Floats positive(Floats y) {
    return _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_NLE_UQ), y);
  }
  QHOST_INLINE static std::uint32_t at_least(Floats a, Floats b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
  }
  QHOST_INLINE static std::uint32_t at_least(Ints a, Ints b) {
    const __m256 less = _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a));
    return static_cast<std::uint32_t>(_mm256_movemask_ps(less)) ^ 0xFFU;
  }
  QHOST_INLINE static Floats minus(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  QHOST_INLINE static Floats over(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  QHOST_INLINE static Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  QHOST_INLINE static Floats lesser(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  QHOST_INLINE static Ints nearest(Floats a) {
    return _mm256_cvttps_epi32(_mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  QHOST_INLINE static Ints count_at_least(Ints count, Floats a, Floats b) {
    // A comparison that holds is -1.
    return _mm256_sub_epi32(count, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
  }
  QHOST_INLINE static Ints count_less(Ints count, Floats a, Floats b) {
    return _mm256_add_epi32(count, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
  }
  QHOST_INLINE static Ints step_at_least(Ints count, Ints step, Floats a, Floats b) {
    const __m256i reached = _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
    return _mm256_add_epi32(count, _mm256_and_si256(reached, step));
  }
  QHOST_INLINE static Floats gather(const float* from, Ints at) {
    return _mm256_i32gather_ps(from, at, sizeof(float));
  }
  QHOST_INLINE static void store_bytes(std::uint8_t* to, Ints codes, int count) {
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    const std::int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    std::memcpy(to, &bytes, static_cast<std::size_t>(count));
  }
  QHOST_INLINE static Places ramp(int first, int step) {
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_add_epi32(_mm256_set1_epi32(first),
                            _mm256_mullo_epi32(numbers, _mm256_set1_epi32(step)));
  }
  QHOST_INLINE static Places places(const int (&at)[most_pixels]) {
    // One by one: a vector that is loaded from numbers just stored waits for them.
    return _mm256_setr_epi32(at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]);
  }
  /// A bit for each pixel: 0 <= start + offset < size.
  QHOST_INLINE static unsigned inside(Places start, int offset, int size) {
    const __m256i at = _mm256_add_epi32(start, _mm256_set1_epi32(offset));
    const __m256i least = _mm256_min_epu32(at, _mm256_set1_epi32(size - 1));
    const __m256 is_inside = _mm256_castsi256_ps(_mm256_cmpeq_epi32(at, least));
    return static_cast<unsigned>(_mm256_movemask_ps(is_inside));
  }

  QHOST_INLINE static __m256i load_256(const std::uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  QHOST_INLINE static __m256i spread_word(const std::uint8_t* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return _mm256_set1_epi32(word);
  }

  /// Counts of each byte, by the table of a nibble's bits; at most 8 a step, so 31 steps fit.
  struct Binary {
    static constexpr int pixels = 4;
    static constexpr int burst = 31;
    static constexpr int vector_bytes = 32;
    using Weights = __m256i;
    using Word = __m256i;
    struct Sum {
      __m256i bytes, total;
    };

    QHOST_INLINE static Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
    QHOST_INLINE static Weights weights(const std::uint8_t* from) { return load_256(from); }
    QHOST_INLINE static Word word(const std::uint8_t* from) { return spread_word(from); }
    QHOST_INLINE static Word mask(std::uint32_t mask) {
      return _mm256_set1_epi32(static_cast<int>(mask));
    }
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) {
      const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                              0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
      const __m256i nibble = _mm256_set1_epi8(0x0F);
      const __m256i different = _mm256_xor_si256(w, x);
      const __m256i low = _mm256_and_si256(different, nibble);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(different, 4), nibble);
      sum.bytes = _mm256_add_epi8(sum.bytes, _mm256_add_epi8(_mm256_shuffle_epi8(counts, low),
                                                             _mm256_shuffle_epi8(counts, high)));
    }
    /// Behind the mask there are no weights.
    QHOST_INLINE static void add_masked(Sum& sum, Weights w, Word x, Word mask) {
      add(sum, w, _mm256_and_si256(x, mask));
    }
    QHOST_INLINE static void flush(Sum& sum) {
      const __m256i pairs = _mm256_maddubs_epi16(sum.bytes, _mm256_set1_epi8(1));
      sum.total = _mm256_add_epi32(sum.total, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      sum.bytes = _mm256_setzero_si256();
    }
    QHOST_INLINE static Ints count(Sum sum) { return sum.total; }
  };

  /// In 16 bits, bytes 0 and 2 apart from 1 and 3: products of bytes in pairs would saturate.
  struct Integer {
    static constexpr int pixels = 4;
    static constexpr int burst = 0;
    static constexpr int vector_bytes = 32;
    struct Weights {
      __m256i even, odd;
    };
    using Word = Weights;
    using Sum = __m256i;

    QHOST_INLINE static Sum zero() { return _mm256_setzero_si256(); }
    QHOST_INLINE static Weights weights(const std::uint8_t* from) {
      const __m256i bytes = load_256(from);
      return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
    }
    QHOST_INLINE static Word word(const std::uint8_t* from) {
      const __m256i bytes = spread_word(from);
      return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(bytes, 8)};
    }
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w.even, x.even));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w.odd, x.odd));
    }
    QHOST_INLINE static Ints count(Sum sum) { return sum; }
  };

  struct Float {
    static constexpr int pixels = 6;
    static constexpr int burst = 0;
    static constexpr int vector_bytes = 32;
    using Weights = __m256;
    using Word = __m256;
    using Sum = __m256;
    using Switch = __m256;

    QHOST_INLINE static Sum zero() { return _mm256_setzero_ps(); }
    QHOST_INLINE static Weights weights(const std::uint8_t* from) {
      return _mm256_castsi256_ps(load_256(from));
    }
    QHOST_INLINE static Word word(const std::uint8_t* from) {
      return _mm256_castsi256_ps(spread_word(from));
    }
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) { sum = _mm256_fmadd_ps(w, x, sum); }
    QHOST_INLINE static Switch switched(bool on) {
      return _mm256_castsi256_ps(_mm256_set1_epi32(on ? -1 : 0));
    }
    QHOST_INLINE static void add_if(Switch on, Sum& sum, Weights w, Word x) {
      sum = _mm256_blendv_ps(sum, _mm256_fmadd_ps(w, x, sum), on);
    }
  };
};

}  // namespace

const Kernels* avx2_kernels() {
  static constexpr Kernels kernels = {"avx2",         binary<Avx2>,      integer<Avx2>,
                                      floating<Avx2>, encode_bits<Avx2>, encode_bytes<Avx2>};
  return &kernels;
}

}  // namespace qhost::runtime

#else

namespace qhost::runtime {

const Kernels* avx2_kernels() {
  return nullptr;
}

}  // namespace qhost::runtime

#endif
