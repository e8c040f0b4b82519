/// Ranges, and the evenly spaced levels that cover them.
///
///     affine       lo <- min(lo, 0), hi <- max(hi, 0)
///                  s = (hi - lo) / n,  n = 2^bits - 1
///                  z = clip(round(-lo / s), 0, n)
///     symmetric    s = max(|lo|, |hi|) / Q,  Q = 2^(bits-1) - 1
///                  z = Q,  n = 2Q                     (the levels -Q .. Q: one less than 2^bits)
///
///     code    q  = clip(round(v / s) + z, 0, n)       (round half to even)
///     value   v^ = s * (q - z)                        (0 is a level: zero padding stays exact)
///     dC/dv   = dC/dv^ where 0 <= round(v / s) + z <= n, else 0; none to the range
///
/// s is at least `smallest_step`, so that a constant 0 has a grid.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace qhost::uniform {

constexpr double smallest_step = 1e-12;

/// What has a range of its own: the tensor, or each index of one dimension.
struct Grouping {
  bool per_channel = false;
  std::int64_t channel_dimension = 0;
};

/// Scalars, or [channels].
struct Range {
  at::Tensor low, high;
};

/// The smallest and the largest value; with percentile p < 100 the values of rank n + 1 - k and
/// k = ceil(n * p / 100) of the n values in ascending order. For a symmetric grid -h and h, h that
/// rank of |v|.
Range range_of(const at::Tensor& v, const Grouping& grouping, bool symmetric, double percentile);

struct Grid {
  at::Tensor step;             ///< s: scalar or [channels]
  at::Tensor zero;             ///< z: float32, whole numbers; scalar, or like `step` if affine
  std::int64_t largest = 0;    ///< n
  std::int64_t dimension = 0;  ///< the channels of the values
};
Grid grid_of(const Range& range, const Grouping& grouping, bool symmetric, int bits);

/// q as float32.
at::Tensor codes(const at::Tensor& v, const Grid& grid);
/// v^, differentiable with respect to v.
at::Tensor quantize(const at::Tensor& v, const Grid& grid);

}  // namespace qhost::uniform
