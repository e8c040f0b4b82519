#include "grid.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/kthvalue.h>
#include <ATen/ops/le.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/round.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

namespace qhost::uniform {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A row per group.
at::Tensor rows_of(const at::Tensor& v, const Grouping& grouping) {
  if (!grouping.per_channel) return v.reshape({1, -1});
  return v.transpose(0, grouping.channel_dimension)
      .reshape({v.size(grouping.channel_dimension), -1});
}

/// The dimensions that a range covers.
std::vector<std::int64_t> covered(const at::Tensor& v, const Grouping& grouping) {
  std::vector<std::int64_t> dimensions;
  for (std::int64_t d = 0; d < v.dim(); ++d) {
    if (!grouping.per_channel || d != grouping.channel_dimension) dimensions.push_back(d);
  }
  return dimensions;
}

/// The k-th smallest value of each row, k from 1.
at::Tensor ranked(const at::Tensor& rows, std::int64_t k, const Grouping& grouping) {
  const at::Tensor value = std::get<0>(at::kthvalue(rows, k, 1));
  return grouping.per_channel ? value : value.reshape({});
}

at::Tensor along(const at::Tensor& values, const at::Tensor& v, std::int64_t dimension) {
  if (values.dim() == 0) return values;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(v.dim()), 1);
  shape.at(static_cast<std::size_t>(dimension)) = values.numel();
  return values.reshape(shape);
}

at::Tensor unclipped(const at::Tensor& v, const at::Tensor& step, const at::Tensor& zero) {
  return v.div(step).round_().add_(zero);
}

class Quantize : public torch::autograd::Function<Quantize> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v, const at::Tensor& step,
                            const at::Tensor& zero, std::int64_t largest) {
    at::Tensor code = unclipped(v, step, zero);
    context->save_for_backward({at::ge(code, 0).logical_and_(at::le(code, largest))});
    return code.clamp_(0, largest).sub_(zero).mul_(step);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

Range range_of(const at::Tensor& v, const Grouping& grouping, bool symmetric, double percentile) {
  const at::Tensor values = symmetric ? at::abs(v) : v;
  Range range;
  if (percentile >= 100) {
    range.high = at::amax(values, covered(v, grouping));
    if (!symmetric) range.low = at::amin(values, covered(v, grouping));
  } else {
    const at::Tensor rows = rows_of(values, grouping);
    const std::int64_t n = rows.size(1);
    // The small number takes back what the product's rounding may have added to a whole rank.
    const double rank = std::ceil(static_cast<double>(n) * percentile / 100 - 1e-6);
    const auto k = std::clamp(static_cast<std::int64_t>(rank), std::int64_t{1}, n);
    range.high = ranked(rows, k, grouping);
    if (!symmetric) range.low = ranked(rows, n + 1 - k, grouping);
  }
  if (symmetric) range.low = range.high.neg();
  return range;
}

Grid grid_of(const Range& range, const Grouping& grouping, bool symmetric, int bits) {
  Grid grid;
  grid.dimension = grouping.channel_dimension;
  if (symmetric) {
    const std::int64_t q = (std::int64_t{1} << (bits - 1)) - 1;
    grid.largest = 2 * q;
    grid.step = at::maximum(at::abs(range.low), at::abs(range.high)).div_(q);
    grid.step.clamp_min_(smallest_step);
    grid.zero = at::full({}, q, range.low.options());
  } else {
    grid.largest = (std::int64_t{1} << bits) - 1;
    const at::Tensor low = range.low.clamp_max(0);
    grid.step = range.high.clamp_min(0).sub_(low).div_(grid.largest).clamp_min_(smallest_step);
    grid.zero = at::round(low.div(grid.step)).neg_().clamp_(0, grid.largest);
  }
  return grid;
}

at::Tensor codes(const at::Tensor& v, const Grid& grid) {
  return unclipped(v, along(grid.step, v, grid.dimension), along(grid.zero, v, grid.dimension))
      .clamp_(0, grid.largest);
}

at::Tensor quantize(const at::Tensor& v, const Grid& grid) {
  return Quantize::apply(v, along(grid.step, v, grid.dimension),
                         along(grid.zero, v, grid.dimension), grid.largest);
}

}  // namespace qhost::uniform
