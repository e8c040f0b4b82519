/// A histogram whose range grows with what it sees, and the two ways to cut its tails. The numbers
/// are those of PyTorch's HistogramObserver, bit by bit.
///
/// 2048 bins lie evenly between the smallest and the largest value seen. When a batch widens the
/// range, each old bin is split into 16 equal parts, and each part goes to the new bin that holds
/// its middle.
///
/// The search for the range with the least quantization error takes the values of a bin as spread
/// evenly over it. For a range of bins a .. b, cut into `levels` equal cells, a value is replaced
/// by the middle of its cell; values outside belong to the first or last cell. A bin of density p
/// that reaches from u to v, with cell middles m(u) and m(v) and cells of width d, costs
///
///     p/3 * ( (d/2)^3 - (u - m(u))^3  +  k * (d^3)/4  +  (v - m(v))^3 + (d/2)^3 ),
///     k = cells between that of u and that of v
///
/// Starting from all bins, the search raises the lower or lowers the upper quantile in steps of
/// 1e-5, always on the side where that removes more bins, and stops before the first rise of the
/// error.
#pragma once

#include <ATen/core/Tensor.h>

namespace qhost::ptq {

struct Histogram {
  static constexpr std::int64_t bins = 2048;
  at::Tensor counts;     ///< float32 [bins], CPU
  at::Tensor low, high;  ///< float32 scalars, CPU
};

struct ValueRange {
  at::Tensor low, high;  ///< float32 scalars
};

/// The histogram of one batch; low and high are its extremes, finite.
Histogram histogram_of(const at::Tensor& x, const at::Tensor& low, const at::Tensor& high);
/// `before` and the batch together.
Histogram extended(const Histogram& before, const at::Tensor& x, const at::Tensor& low,
                   const at::Tensor& high);
/// The range with the least error for `levels` cells.
ValueRange least_error_range(const Histogram& histogram, int levels);
/// The bins that remain when at most (100 - percentile)/2 percent of the values go on each side.
ValueRange percentile_range(const Histogram& histogram, double percentile);

}  // namespace qhost::ptq
