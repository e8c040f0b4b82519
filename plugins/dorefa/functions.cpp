#include "functions.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/div.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sign.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

namespace qhost::dorefa {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double smallest_normal = 1.17549435e-38;  // of float32

double as_real(std::int64_t n) {
  return static_cast<double>(n);
}

/// max|t|, and at least the smallest normal number. A layer of zeros is divided by 1: it has the
/// code of 0 everywhere, and gradients that are not beyond float32.
at::Tensor largest(const at::Tensor& t) {
  const at::Tensor m = at::amax(at::abs(t));
  return at::where(at::eq(m, 0), 1.0, m.clamp_min(smallest_normal)).to(at::kFloat);
}

class QuantizeWeight : public torch::autograd::Function<QuantizeWeight> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w, std::int64_t bits,
                            bool through_max) {
    context->save_for_backward({w});
    context->saved_data["through_max"] = through_max;
    const int k = static_cast<int>(bits);
    return weight_codes(w, k).sub_(as_real(largest_code(k)) / 2).mul_(weight_scale(w, k));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor t = at::tanh(context->get_saved_variables()[0]);
    const at::Tensor m = largest(t);
    const at::Tensor slope = t.square().neg_().add_(1);
    at::Tensor result = at::mul(gradients[0], slope).div_(m);
    if (context->saved_data["through_max"].toBool()) {
      const at::Tensor at_max = at::eq(at::abs(t), m).to(at::kFloat);
      const at::Tensor share = at::sum(at::mul(gradients[0], t), at::kDouble)
                                   .div_(m.to(at::kDouble).square())
                                   .div_(at::sum(at_max).clamp_min_(1))
                                   .to(at::kFloat);
      result.sub_(at_max.mul_(at::sign(t)).mul_(slope).mul_(share));
    }
    return {result, at::Tensor(), at::Tensor()};
  }
};

class BinarizeWeight : public torch::autograd::Function<BinarizeWeight> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& w) {
    // Adding 0 turns -0 into +0, whose sign is +1.
    return at::copysign(binary_scale(w), at::add(w, 0));
  }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    return {gradients[0]};
  }
};

class QuantizeInput : public torch::autograd::Function<QuantizeInput> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t bits) {
    // A mask of one byte an element; the gradient of clamp at its bounds differs between LibTorch
    // versions.
    context->save_for_backward({at::ge(x, 0).logical_and_(at::le(x, 1))});
    const int k = static_cast<int>(bits);
    return input_codes(x, k).mul_(input_scale(x, k));
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor weight_codes(const at::Tensor& w, int bits) {
  const at::Tensor t = at::tanh(w);
  return t.div(largest(t).mul_(2)).add_(0.5).mul_(largest_code(bits)).round_();
}

at::Tensor weight_scale(const at::Tensor& w, int bits) {
  return at::full({}, 2.0 / as_real(largest_code(bits)), w.options().dtype(at::kFloat));
}

at::Tensor quantize_weight(const at::Tensor& w, int bits, bool through_max) {
  return QuantizeWeight::apply(w, static_cast<std::int64_t>(bits), through_max);
}

at::Tensor binary_scale(const at::Tensor& w) {
  return at::mean(at::abs(w), at::kDouble).to(at::kFloat);
}

at::Tensor binarize_weight(const at::Tensor& w) {
  return BinarizeWeight::apply(w);
}

at::Tensor input_codes(const at::Tensor& x, int bits) {
  // Adding 0 makes the -0 of a negative input's code a +0.
  return at::clamp(x, 0, 1).mul_(largest_code(bits)).round_().add_(0);
}

at::Tensor input_scale(const at::Tensor& x, int bits) {
  return at::full({}, 1.0 / as_real(largest_code(bits)), x.options().dtype(at::kFloat));
}

at::Tensor quantize_input(const at::Tensor& x, int bits) {
  return QuantizeInput::apply(x, static_cast<std::int64_t>(bits));
}

at::Tensor quantize_gradient(const at::Tensor& g, const at::Tensor& u, int bits) {
  const double n = as_real(largest_code(bits));
  std::vector<std::int64_t> of_image;
  for (std::int64_t d = 1; d < g.dim(); ++d) of_image.push_back(d);
  const at::Tensor twice = at::amax(at::abs(g), of_image, /*keepdim=*/true).mul_(2);
  // 0/0 of an image without a gradient: any number will do, since `twice` multiplies it.
  at::Tensor r = at::div(g, twice.clamp_min(smallest_normal)).add_(0.5);
  r.add_(at::sub(u, 0.5).div_(n)).clamp_(0, 1);
  return r.mul_(n).round_().div_(n).sub_(0.5).mul_(twice);
}

}  // namespace qhost::dorefa
