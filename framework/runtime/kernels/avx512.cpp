// The kernels for CPUs with AVX-512 VPOPCNTDQ and VNNI.
#include "runtime/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "runtime/kernels/vector_binary.h"
#include "runtime/kernels/vector_encode.h"
#include "runtime/kernels/vector_float.h"
#include "runtime/kernels/vector_integer.h"

namespace qhost::runtime {
namespace {

struct Avx512 {
  static constexpr int lanes = 16;
  static constexpr int most_pixels = 8;
  using Ints = __m512i;
  using Floats = __m512;
  using Some = __mmask16;
  using Places = __m256i;  ///< rows or columns of the pixels of a tile

  QHOST_INLINE static Some some(int count) {
    return static_cast<Some>(count >= lanes ? 0xFFFF : (1 << count) - 1);
  }
  QHOST_INLINE static std::uint32_t bits(Some some) { return some; }
  QHOST_INLINE static Floats load(const float* from, Some some) {
    return _mm512_maskz_loadu_ps(some, from);
  }
  QHOST_INLINE static Ints load(const std::int32_t* from, Some some) {
    return _mm512_maskz_loadu_epi32(some, from);
  }
  QHOST_INLINE static void store(float* to, Floats y, Some some) {
    _mm512_mask_storeu_ps(to, some, y);
  }
  QHOST_INLINE static Floats spread(float x) { return _mm512_set1_ps(x); }
  QHOST_INLINE static Ints spread(std::int32_t x) { return _mm512_set1_epi32(x); }
  QHOST_INLINE static Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  QHOST_INLINE static Ints times(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
  QHOST_INLINE static Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  QHOST_INLINE static Ints plus(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  QHOST_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  QHOST_INLINE static Ints minus_twice(Ints a, Ints b) {
    return _mm512_sub_epi32(a, _mm512_slli_epi32(b, 1));
  }
  QHOST_INLINE static Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  /// Not max: -0 becomes +0, and NaN stays.
  QHOST_INLINE static Floats positive(Floats y) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NLE_UQ), y);
  }
  QHOST_INLINE static std::uint32_t at_least(Floats a, Floats b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
  }
  QHOST_INLINE static std::uint32_t at_least(Ints a, Ints b) {
    return _mm512_cmp_epi32_mask(a, b, _MM_CMPINT_NLT);
  }
  QHOST_INLINE static Floats minus(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  QHOST_INLINE static Floats over(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  QHOST_INLINE static Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  QHOST_INLINE static Floats lesser(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  QHOST_INLINE static Ints nearest(Floats a) {
    return _mm512_cvt_roundps_epi32(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  QHOST_INLINE static Ints count_at_least(Ints count, Floats a, Floats b) {
    return step_at_least(count, spread(std::int32_t{1}), a, b);
  }
  QHOST_INLINE static Ints count_less(Ints count, Floats a, Floats b) {
    return _mm512_mask_sub_epi32(count, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), count,
                                 spread(std::int32_t{1}));
  }
  QHOST_INLINE static Ints step_at_least(Ints count, Ints step, Floats a, Floats b) {
    return _mm512_mask_add_epi32(count, _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), count, step);
  }
  QHOST_INLINE static Floats gather(const float* from, Ints at) {
    return _mm512_i32gather_ps(at, from, sizeof(float));
  }
  QHOST_INLINE static void store_bytes(std::uint8_t* to, Ints codes, int count) {
    _mm512_mask_cvtepi32_storeu_epi8(to, some(count), codes);
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
    return _mm256_cmp_epu32_mask(_mm256_add_epi32(start, _mm256_set1_epi32(offset)),
                                 _mm256_set1_epi32(size), _MM_CMPINT_LT);
  }

  struct Ints32 {
    static constexpr int pixels = 8;
    static constexpr int burst = 0;
    static constexpr int vector_bytes = 64;
    using Weights = __m512i;
    using Word = __m512i;
    using Sum = __m512i;

    QHOST_INLINE static Sum zero() { return _mm512_setzero_si512(); }
    QHOST_INLINE static Weights weights(const std::uint8_t* from) {
      return _mm512_loadu_si512(from);
    }
    QHOST_INLINE static Word word(const std::uint8_t* from) {
      std::int32_t word;
      std::memcpy(&word, from, sizeof word);
      return _mm512_set1_epi32(word);
    }
    QHOST_INLINE static Ints count(Sum sum) { return sum; }
  };

  struct Binary : Ints32 {
    QHOST_INLINE static Word mask(std::uint32_t mask) {
      return _mm512_set1_epi32(static_cast<int>(mask));
    }
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) {
      sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(w, x)));
    }
    QHOST_INLINE static void add_masked(Sum& sum, Weights w, Word x, Word mask) {
      // (x & mask) ^ w: behind the mask there are no weights.
      constexpr int table = (0xF0 & 0xCC) ^ 0xAA;
      const __m512i different = _mm512_ternarylogic_epi32(x, mask, w, table);
      sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(different));
    }
  };

  struct Integer : Ints32 {
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) {
      sum = _mm512_dpbusd_epi32(sum, x, w);
    }
  };

  struct Float {
    static constexpr int pixels = 8;
    static constexpr int burst = 0;
    static constexpr int vector_bytes = 64;
    using Weights = __m512;
    using Word = __m512;
    using Sum = __m512;
    using Switch = __mmask16;

    QHOST_INLINE static Sum zero() { return _mm512_setzero_ps(); }
    QHOST_INLINE static Weights weights(const std::uint8_t* from) { return _mm512_loadu_ps(from); }
    QHOST_INLINE static Word word(const std::uint8_t* from) {
      float word;
      std::memcpy(&word, from, sizeof word);
      return _mm512_set1_ps(word);
    }
    QHOST_INLINE static void add(Sum& sum, Weights w, Word x) { sum = _mm512_fmadd_ps(w, x, sum); }
    QHOST_INLINE static Switch switched(bool on) { return static_cast<Switch>(on ? 0xFFFF : 0); }
    QHOST_INLINE static void add_if(Switch on, Sum& sum, Weights w, Word x) {
      sum = _mm512_mask3_fmadd_ps(w, x, sum, on);
    }
  };
};

}  // namespace

const Kernels* avx512_kernels() {
  static constexpr Kernels kernels = {"avx512",         binary<Avx512>,      integer<Avx512>,
                                      floating<Avx512>, encode_bits<Avx512>, encode_bytes<Avx512>};
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
