#include "sign.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

namespace qhost::bnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Identity : public torch::autograd::Function<Identity> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& x) {
    return sign_of(x, std::nullopt);
  }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    return {gradients[0]};
  }
};

class HardTanh : public torch::autograd::Function<HardTanh> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& u) {
    // A mask of one byte an element; the gradient of clamp at its bounds differs between LibTorch
    // versions.
    context->save_for_backward({at::le(at::abs(x), 1)});
    return sign_of(x, u);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor sign_of(const at::Tensor& x, const std::optional<at::Tensor>& u) {
  // The clip of the probability is left out: a number of [0, 1) is below any p >= 1 and above any
  // p <= 0 anyway.
  if (u) return at::gt(at::add(x, 1).mul_(0.5), *u).to(at::kFloat).mul_(2).sub_(1);
  // copysign is vectorised where at::where is not; adding 0 turns -0 into +0.
  return at::copysign(at::ones({}, x.options()), at::add(x, 0));
}

at::Tensor sign_identity(const at::Tensor& x) {
  return Identity::apply(x);
}

at::Tensor sign_hardtanh(const at::Tensor& x, const std::optional<at::Tensor>& u) {
  return HardTanh::apply(x, u);
}

}  // namespace qhost::bnn
