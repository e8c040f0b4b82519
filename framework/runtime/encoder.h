/// runtime/encoder.h: thresholds in the form in which a kernel finds codes quickly.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "runtime/kernels.h"

namespace qhost::runtime {

/// code = number of j with direction[c] * x >= thresholds[c][j].
struct Encoder {
  int count = 2;                  ///< codes, 2 to 256
  std::vector<float> thresholds;  ///< [count - 1], or [C, count - 1] with per_channel; ascending
  bool per_channel = false;
  std::vector<float> direction;  ///< [C] of +1 and -1, or empty; only with per_channel
  /// x is a whole number of at most this size; 0: it is any float.
  float largest_sum = 0;
};

/// What ByteEncoder (runtime/kernels.h) points to. Every form gives the codes of the thresholds for
/// every x: a faster one is taken only where it agrees on both sides of each threshold, and its
/// formula is monotonic.
class EncodeTables {
 public:
  EncodeTables() = default;
  EncodeTables(const Encoder& encoder, int channels);

  /// Looks for a rounding of `scale` and a zero point in half steps, before anything else.
  EncodeTables(const Encoder& encoder, int channels, float scale, std::int32_t zero_point);

  ByteEncoder kernel() const;

 private:
  bool find_rounding(const Encoder& encoder, float scale, std::int32_t zero_point);
  void fill_columns(const Encoder& encoder, int channels);
  void fill_rows(const Encoder& encoder, int channels);
  void find_guess(const Encoder& encoder, int channels);

  int codes_ = 2;
  std::vector<float> direction_, columns_, rows_, slope_, offset_;
  std::vector<std::int32_t> row_start_;
  int row_steps_ = 0;
  float doubt_ = 0, step_ = 0, zero_ = 0;
  bool divides_ = false;
};

}  // namespace qhost::runtime
