#include "sign.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/le.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "dense.h"

namespace qhost::sign {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Adding 0 turns -0 into +0.
float plus_or_minus_one(float x) {
  return std::copysign(1.0F, x + 0.0F);
}

struct SignAndMask {
  at::Tensor sign, inside;
};

SignAndMask sign_and_mask(const at::Tensor& given) {
  if (!dense::is_plain(given)) return {sign_of(given), at::le(at::abs(given), 1)};
  const at::Tensor x = dense::without_gaps(given);
  SignAndMask result = {dense::like(x, at::kFloat), dense::like(x, at::kBool)};
  const float* from = x.const_data_ptr<float>();
  auto* to = result.sign.mutable_data_ptr<float>();
  auto* inside = result.inside.mutable_data_ptr<bool>();
  dense::loop(x, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      to[i] = plus_or_minus_one(from[i]);
      inside[i] = std::abs(from[i]) <= 1.0F;
    }
  });
  return result;
}

at::Tensor where_inside(const at::Tensor& inside, const at::Tensor& given) {
  if (!dense::is_plain(given)) return at::where(inside, given, at::zeros({}, given.options()));
  const at::Tensor gradient = dense::in_order_of(inside, given);
  at::Tensor result = dense::like(gradient, at::kFloat);
  const float* from = gradient.const_data_ptr<float>();
  const bool* mask = inside.const_data_ptr<bool>();
  auto* to = result.mutable_data_ptr<float>();
  dense::loop(result, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] = dense::kept_if(mask[i], from[i]);
  });
  return result;
}

class Identity : public torch::autograd::Function<Identity> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& x) { return sign_of(x); }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    return {gradients[0]};
  }
};

class HardTanh : public torch::autograd::Function<HardTanh> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    // A comparison: the gradient of clamp at its bounds differs between LibTorch versions.
    const SignAndMask result = sign_and_mask(x);
    context->save_for_backward({result.inside});
    return result.sign;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {where_inside(context->get_saved_variables()[0], gradients[0])};
  }
};

}  // namespace

at::Tensor sign_of(const at::Tensor& given) {
  if (!dense::is_plain(given)) {
    return at::copysign(at::ones({}, given.options()), at::add(given, 0));
  }
  const at::Tensor x = dense::without_gaps(given);
  at::Tensor result = dense::like(x, at::kFloat);
  const float* from = x.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  dense::loop(x, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] = plus_or_minus_one(from[i]);
  });
  return result;
}

at::Tensor sign_identity(const at::Tensor& x) {
  return Identity::apply(x);
}

at::Tensor sign_hardtanh(const at::Tensor& x) {
  return HardTanh::apply(x);
}

}  // namespace qhost::sign
