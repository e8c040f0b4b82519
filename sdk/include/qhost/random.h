/// qhost/random.h: random numbers that are a function of a key, not of a history.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "qhost/export.h"

namespace qhost {

/// A counter-based generator (Philox 4x32, 10 rounds; Salmon et al., SC'11). Equal keys give equal
/// numbers on every machine, whatever was drawn before, so that a resumed run replays nothing.
/// Copies are independent: drawing advances this object's counter only.
class QHOST_API Random {
 public:
  explicit Random(std::uint64_t key) : key_(key) {}
  /// The key of a purpose: a hash of the run's seed, a name ("stage1.block0.conv1/weight"), what it
  /// is for ("sign", "dropout", "crop") and up to two counters (epoch, step).
  static Random keyed(std::uint64_t seed, std::string_view name, std::string_view purpose,
                      std::uint64_t first = 0, std::uint64_t second = 0);

  std::uint64_t key() const { return key_; }
  std::uint32_t next_u32();
  std::uint64_t next_u64();
  /// Uniform in 0 .. bound-1, without modulo bias; bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1), 24 bits.
  float uniform();
  /// n numbers uniform in [0, 1).
  void fill_uniform(float* out, std::size_t n);
  /// n numbers of the standard normal distribution (Box-Muller).
  void fill_normal(float* out, std::size_t n);

 private:
  void refill();
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
  std::uint32_t buffer_[4] = {};
  int used_ = 4;
};

}  // namespace qhost
