#include "stochastic_sign.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace qhost::bnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class DrawnSign : public torch::autograd::Function<DrawnSign> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& u) {
    context->save_for_backward({at::le(at::abs(x), 1)});
    // The clip of the probability is left out: a number of [0, 1) is below any p >= 1 and above any
    // p <= 0 anyway.
    return at::gt(at::add(x, 1).mul_(0.5), u).to(at::kFloat).mul_(2).sub_(1);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor stochastic_sign(const at::Tensor& x, const at::Tensor& u) {
  return DrawnSign::apply(x, u);
}

}  // namespace qhost::bnn
