#include "qhost/random.h"

#include <cmath>

namespace qhost {
namespace {

// Philox 4x32-10: constants of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC'11, table 2 and its reference values.
constexpr std::uint32_t multiplier_0 = 0xD2511F53, multiplier_1 = 0xCD9E8D57;
constexpr std::uint32_t weyl_0 = 0x9E3779B9, weyl_1 = 0xBB67AE85;

inline void philox(std::uint64_t counter, std::uint64_t key, std::uint32_t out[4]) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter);
  std::uint32_t c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = 0, c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{multiplier_0} * c0;
    const std::uint64_t p1 = std::uint64_t{multiplier_1} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += weyl_0;
    k1 += weyl_1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/// A float in [0, 1) from the upper 24 bits of the word, which are exact in float32.
inline float to_unit(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24F;
}

/// SplitMix64's finalizer: a bijection that spreads every bit (Steele, Lea, Flood, OOPSLA'14).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// FNV-1a, then mixed. The length distinguishes ("ab","c") from ("a","bc").
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xCBF29CE484222325ULL;
  for (const char c : text) {
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  return mix(h ^ (static_cast<std::uint64_t>(text.size()) << 56));
}

}  // namespace

Random Random::keyed(std::uint64_t seed, std::string_view name, std::string_view purpose,
                     std::uint64_t first, std::uint64_t second) {
  std::uint64_t key = mix(seed);
  key = mix(key ^ hash(name));
  key = mix(key ^ hash(purpose));
  key = mix(key ^ first);
  key = mix(key ^ second);
  return Random(key);
}

void Random::refill() {
  philox(counter_++, key_, buffer_);
  used_ = 0;
}

std::uint32_t Random::next_u32() {
  if (used_ == 4) refill();
  return buffer_[used_++];
}

std::uint64_t Random::next_u64() {
  const std::uint64_t high = next_u32();
  return high << 32 | next_u32();
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Reject the incomplete last interval of the 64-bit range.
  const std::uint64_t limit = bound * (~std::uint64_t{0} / bound);
  std::uint64_t x = next_u64();
  while (x >= limit) x = next_u64();
  return x % bound;
}

float Random::uniform() {
  return to_unit(next_u32());
}

void Random::fill_uniform(float* out, std::size_t n) {
  std::size_t i = 0;
  while (i < n && used_ != 4) out[i++] = uniform();
  const std::size_t blocks = (n - i) / 4;
  // Independent blocks let the compiler interleave them, which hides the latency of the multiplier.
  for (std::size_t b = 0; b < blocks; ++b) {
    std::uint32_t words[4];
    philox(counter_ + b, key_, words);
    for (int j = 0; j < 4; ++j) out[i + 4 * b + static_cast<std::size_t>(j)] = to_unit(words[j]);
  }
  counter_ += blocks;
  for (i += 4 * blocks; i < n; ++i) out[i] = uniform();
}

void Random::fill_normal(float* out, std::size_t n) {
  constexpr double two_pi = 6.283185307179586;
  for (std::size_t i = 0; i < n; i += 2) {
    // 1 - u is in (0, 1], so the logarithm is finite.
    const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(uniform())));
    const double angle = two_pi * static_cast<double>(uniform());
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < n) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace qhost
