#include "learned_step.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "qhost/dense.h"

namespace qhost::lsq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Round half to even, for |v| < 2^22: the sum has no bits left for the fraction. (A call of
/// nearbyint cannot be vectorized for every processor.)
float rounded(float v) {
  constexpr float whole = 3 << 22;
  return (v + whole) - whole;
}

/// A comparison keeps a NaN.
float clipped(float v, float low, float high) {
  return v < low ? low : (v > high ? high : v);
}

/// Through the codes, so that a -0 of the rounding becomes the +0 of a decoded code.
at::Tensor level(const at::Tensor& v, const at::Tensor& s, const Levels& levels) {
  return codes(v, s, levels).sub_(levels.qn);
}

at::Tensor quantized(const at::Tensor& given, const at::Tensor& s, const Levels& levels) {
  if (!dense::is_plain(given)) return level(given, s, levels).mul_(s);
  const at::Tensor v = dense::without_gaps(given);
  at::Tensor result = dense::like(v, at::kFloat);
  const float* from = v.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  const auto step = s.item<float>();
  const auto low = static_cast<float>(-levels.qn), high = static_cast<float>(levels.qp);
  dense::loop(v, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      to[i] = rounded(clipped(from[i] / step, low, high)) * step;
    }
  });
  return result;
}

struct Gradients {
  at::Tensor v, s;
};

/// The sum over all values runs in double.
Gradients gradients_by_operations(const at::Tensor& v, const at::Tensor& s, const at::Tensor& g,
                                  const Levels& levels) {
  const at::Tensor ratio = v.div(s);
  const at::Tensor inside =
      at::gt(ratio, -levels.qn).logical_and_(at::lt(ratio, levels.qp)).to(at::kFloat);
  // Outside, and at the bounds, the level is the -Qn or Qp that the paper asks for.
  const at::Tensor by_step = level(v, s, levels).sub_(ratio.mul(inside)).mul_(g);
  return {.v = at::mul(g, inside), .s = at::sum(by_step, at::kDouble)};
}

/// The same in one pass. Eight sums at a time, so that the loop has no long chain of additions.
Gradients gradients_of(const at::Tensor& given, const at::Tensor& s, const at::Tensor& g,
                       const Levels& levels) {
  if (!dense::is_plain(given)) return gradients_by_operations(given, s, g, levels);
  const at::Tensor v = dense::without_gaps(given);
  const at::Tensor ordered = dense::in_order_of(v, g);
  Gradients result = {.v = dense::like(v, at::kFloat), .s = {}};
  const float* from = v.const_data_ptr<float>();
  const float* gradient = ordered.const_data_ptr<float>();
  auto* to = result.v.mutable_data_ptr<float>();
  const auto step = s.item<float>();
  const auto low = static_cast<float>(-levels.qn), high = static_cast<float>(levels.qp);
  std::vector<double> sums(static_cast<std::size_t>((v.numel() + dense::block - 1) / dense::block));
  dense::loop(v, [=, &sums](std::int64_t first, std::int64_t last) {
    double lanes[8] = {};
    // A buffer between the two loops, so that the compiler takes several values at once in each.
    constexpr std::int64_t piece = 512;
    float by_step[piece];
    for (std::int64_t start = first; start < last; start += piece) {
      const std::int64_t count = std::min(piece, last - start);
      for (std::int64_t i = 0; i < count; ++i) {
        const float ratio = from[start + i] / step, outer = gradient[start + i];
        const bool inside = (ratio > low) & (ratio < high);
        const float level = rounded(clipped(ratio, low, high));
        to[start + i] = dense::kept_if(inside, outer);
        by_step[i] = (level - dense::kept_if(inside, ratio)) * outer;
      }
      std::fill(by_step + count, by_step + piece, 0.0F);
      for (std::int64_t i = 0; i < piece; i += 8) {
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += by_step[i + lane];
      }
    }
    sums[static_cast<std::size_t>(first / dense::block)] =
        std::accumulate(std::begin(lanes), std::end(lanes), 0.0);
  });
  result.s = at::scalar_tensor(std::accumulate(sums.begin(), sums.end(), 0.0), at::kDouble);
  return result;
}

class LearnedStep : public torch::autograd::Function<LearnedStep> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v, const at::Tensor& s,
                            std::int64_t qn, std::int64_t qp, double gradient_scale) {
    context->save_for_backward({v, s});
    context->saved_data["qn"] = qn;
    context->saved_data["qp"] = qp;
    context->saved_data["g"] = gradient_scale;
    return quantized(v, s, {.qn = qn, .qp = qp});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Levels levels = {.qn = context->saved_data["qn"].toInt(),
                           .qp = context->saved_data["qp"].toInt()};
    const Gradients by = gradients_of(saved[0], saved[1], gradients[0], levels);
    return {by.v, by.s.mul(context->saved_data["g"].toDouble()).to(at::kFloat), at::Tensor(),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

Levels Levels::signed_of(int bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return {.qn = half, .qp = half - 1};
}

Levels Levels::unsigned_of(int bits) {
  return {.qn = 0, .qp = (std::int64_t{1} << bits) - 1};
}

at::Tensor codes(const at::Tensor& v, const at::Tensor& s, const Levels& levels) {
  return v.div(s).clamp_(-levels.qn, levels.qp).round_().add_(levels.qn);
}

at::Tensor quantize(const at::Tensor& v, const at::Tensor& s, const Levels& levels,
                    double gradient_scale) {
  return LearnedStep::apply(v, s, levels.qn, levels.qp, gradient_scale);
}

double gradient_scale(std::int64_t n, const Levels& levels) {
  return 1.0 / std::sqrt(static_cast<double>(n) * static_cast<double>(levels.qp));
}

at::Tensor first_step(const at::Tensor& v, const Levels& levels) {
  return at::mean(at::abs(v), at::kDouble)
      .mul_(2.0 / std::sqrt(static_cast<double>(levels.qp)))
      .to(at::kFloat)
      .clamp_min_(smallest_step);
}

}  // namespace qhost::lsq
