#include "learned_step.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace qhost::lsq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Through the codes, so that a -0 of the rounding becomes the +0 of a decoded code.
at::Tensor level(const at::Tensor& v, const at::Tensor& s, const Levels& levels) {
  return codes(v, s, levels).sub_(levels.qn);
}

class LearnedStep : public torch::autograd::Function<LearnedStep> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v, const at::Tensor& s,
                            std::int64_t qn, std::int64_t qp, double gradient_scale) {
    context->save_for_backward({v, s});
    context->saved_data["qn"] = qn;
    context->saved_data["qp"] = qp;
    context->saved_data["g"] = gradient_scale;
    return level(v, s, {.qn = qn, .qp = qp}).mul_(s);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Levels levels = {.qn = context->saved_data["qn"].toInt(),
                           .qp = context->saved_data["qp"].toInt()};
    const at::Tensor ratio = saved[0].div(saved[1]);
    const at::Tensor inside =
        at::gt(ratio, -levels.qn).logical_and_(at::lt(ratio, levels.qp)).to(at::kFloat);
    // Outside, and at the bounds, the level is the -Qn or Qp that the paper asks for.
    at::Tensor by_step = level(saved[0], saved[1], levels).sub_(ratio.mul(inside));
    by_step = at::sum(by_step.mul_(gradients[0]), at::kDouble)
                  .mul_(context->saved_data["g"].toDouble())
                  .to(at::kFloat);
    return {at::mul(gradients[0], inside), by_step, at::Tensor(), at::Tensor(), at::Tensor()};
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
