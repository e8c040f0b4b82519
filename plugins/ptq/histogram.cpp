#include "histogram.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/div.h>
#include <ATen/ops/histc.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace qhost::ptq {
namespace {

constexpr std::int64_t bins = Histogram::bins;
constexpr std::int64_t parts = 16;  // of a bin, when its range grows

float number(const at::Tensor& scalar) {
  return scalar.item<float>();
}

at::Tensor counts_in(const at::Tensor& x, const at::Tensor& low, const at::Tensor& high) {
  return at::histc(x, bins, number(low), number(high)).to(at::kCPU);
}

/// The counts of `old` over the bins of the wider range.
at::Tensor spread_over(const Histogram& old, const at::Tensor& low, const at::Tensor& high) {
  if (number(old.low) == number(old.high)) {  // all in one place
    return at::mul(counts_in(old.low, low, high), at::sum(old.counts));
  }
  const at::Tensor weights = at::div(old.counts.repeat_interleave(parts), parts);
  const at::Tensor width = at::div(at::sub(old.high, old.low), bins * parts);
  const at::Tensor middles = at::add(
      at::linspace(number(old.low), number(old.high), bins * parts + 1, old.counts.options())
          .slice(0, 0, bins * parts),
      at::mul(width, 0.5));
  const at::Tensor edges = at::linspace(number(low), number(high), bins + 1, old.counts.options());
  const at::Tensor target = at::bucketize(middles, edges, /*out_int32=*/false, /*right=*/true)
                                .sub_(1)
                                .clamp_(0, bins - 1);
  return at::bincount(target, weights, bins);
}

/// Sum of the squared distances from 0 of values of even density between two places.
at::Tensor spread_error(const at::Tensor& begin, const at::Tensor& end, const at::Tensor& density) {
  // In this order: the golden values are compared bit by bit.
  return at::mul(density, at::div(at::sub(end * end * end, begin * begin * begin), 3));
}

double error_of(const Histogram& histogram, std::int64_t first, std::int64_t last, int levels) {
  // Scalars are double here and become float32 where they meet a tensor.
  const double width =
      (static_cast<double>(number(histogram.high)) - static_cast<double>(number(histogram.low))) /
      static_cast<double>(bins);
  const double cell = width * static_cast<double>(last - first + 1) / levels;
  if (cell == 0) return 0;
  const auto cell_of = [&](const at::Tensor& place) {
    return at::clamp(at::div(place, cell, "floor"), 0, levels - 1);
  };
  const at::Tensor density = at::div(histogram.counts, width);
  const at::Tensor begin =
      at::mul(at::sub(at::arange(bins, at::TensorOptions(at::kLong)), first), width);
  const at::Tensor end = at::add(begin, width);
  const at::Tensor cell_of_begin = cell_of(begin), cell_of_end = cell_of(end);
  const at::Tensor plus_half = at::scalar_tensor(cell / 2, density.options());
  const at::Tensor minus_half = at::scalar_tensor(-cell / 2, density.options());

  at::Tensor error = at::zeros({bins}, density.options());
  error.add_(spread_error(at::sub(begin, at::mul(at::add(cell_of_begin, 0.5), cell)),
                          at::mul(at::ones({bins}, density.options()), cell / 2), density));
  error.add_(at::mul(at::sub(at::sub(cell_of_end, cell_of_begin), 1),
                     spread_error(minus_half, plus_half, density)));
  const at::Tensor end_middle = at::add(at::mul(cell_of_end, cell), cell / 2);
  error.add_(spread_error(minus_half, at::sub(end, end_middle), density));
  return static_cast<double>(number(at::sum(error)));
}

ValueRange range_of(const Histogram& histogram, std::int64_t first, std::int64_t last) {
  const at::Tensor width = at::div(at::sub(histogram.high, histogram.low), bins);
  return {at::add(histogram.low, at::mul(width, first)),
          at::add(histogram.low, at::mul(width, last + 1))};
}

}  // namespace

Histogram histogram_of(const at::Tensor& x, const at::Tensor& low, const at::Tensor& high) {
  return {counts_in(x, low, high), low.to(at::kCPU).clone(), high.to(at::kCPU).clone()};
}

Histogram extended(const Histogram& before, const at::Tensor& x, const at::Tensor& low,
                   const at::Tensor& high) {
  const at::Tensor new_low = at::minimum(before.low, low.to(at::kCPU));
  const at::Tensor new_high = at::maximum(before.high, high.to(at::kCPU));
  const at::Tensor added = counts_in(x, new_low, new_high);
  const bool same =
      number(new_low) == number(before.low) && number(new_high) == number(before.high);
  const at::Tensor kept = same ? before.counts : spread_over(before, new_low, new_high);
  return {at::add(added, kept), new_low, new_high};
}

ValueRange least_error_range(const Histogram& histogram, int levels) {
  constexpr double quantile_step = 1e-5;
  const double total = static_cast<double>(number(at::sum(histogram.counts)));
  const at::Tensor cumulative = at::cumsum(histogram.counts, 0).contiguous();
  const auto* below = cumulative.const_data_ptr<float>();
  double lower = 0, upper = 1, least = std::numeric_limits<double>::infinity();
  std::int64_t first = 0, last = bins - 1;
  while (lower < upper) {
    const double next_lower = lower + quantile_step, next_upper = upper - quantile_step;
    std::int64_t left = first, right = last;
    while (left < last && below[left] < static_cast<float>(next_lower * total)) ++left;
    while (right > first && below[right] > static_cast<float>(next_upper * total)) --right;
    std::int64_t next_first = first, next_last = last;
    if (left - first > last - right) {
      next_first = left;
      lower = next_lower;
    } else {
      next_last = right;
      upper = next_upper;
    }
    if (next_first == first && next_last == last) continue;
    const double error = error_of(histogram, next_first, next_last, levels);
    if (error > least) break;
    least = error;
    first = next_first;
    last = next_last;
  }
  return range_of(histogram, first, last);
}

ValueRange percentile_range(const Histogram& histogram, double percentile) {
  const auto* counts = histogram.counts.const_data_ptr<float>();
  double total = 0;
  for (std::int64_t i = 0; i < bins; ++i) total += static_cast<double>(counts[i]);
  const double tail = total * (100 - percentile) / 200;
  std::int64_t first = 0, last = bins - 1;
  double cut = 0;
  while (first < last && cut + static_cast<double>(counts[first]) <= tail) {
    cut += static_cast<double>(counts[first++]);
  }
  cut = 0;
  while (last > first && cut + static_cast<double>(counts[last]) <= tail) {
    cut += static_cast<double>(counts[last--]);
  }
  return range_of(histogram, first, last);
}

}  // namespace qhost::ptq
