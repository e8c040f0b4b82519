#include "rounding.h"

#include <ATen/ops/add.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/round.h>
#include <torch/csrc/autograd/custom_function.h>

namespace qhost::contract {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RoundToCode : public torch::autograd::Function<RoundToCode> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& t,
                            const std::optional<at::Tensor>& u, std::int64_t bits) {
    const int b = static_cast<int>(bits);
    // A mask with one byte per element; the gradient of clamp at its bound differs between LibTorch
    // versions.
    context->save_for_backward({at::ge(t, 0).logical_and_(at::le(t, largest_code(b)))});
    return round_to_code(t, u, b);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

class ScaleGradient : public torch::autograd::Function<ScaleGradient> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double factor) {
    context->saved_data["factor"] = factor;
    return x.clone();
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->saved_data["factor"].toDouble()), at::Tensor()};
  }
};

}  // namespace

at::Tensor round_to_code(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits) {
  const at::Tensor rounded = u ? at::floor(at::add(t, *u)) : at::round(t);
  return rounded.clamp(0, largest_code(bits));
}

at::Tensor round_to_code_ste(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits) {
  return RoundToCode::apply(t, u, static_cast<std::int64_t>(bits));
}

at::Tensor scale_gradient(const at::Tensor& x, double factor) {
  return ScaleGradient::apply(x, factor);
}

}  // namespace qhost::contract
