#include "scaled_sign.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/le.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>

#include "qhost/error.h"

namespace qhost::scaled_sign {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<std::int64_t> filter_dimensions(const at::Tensor& w) {
  std::vector<std::int64_t> dimensions;
  for (std::int64_t d = 1; d < w.dim(); ++d) dimensions.push_back(d);
  return dimensions;
}

std::int64_t filter_size(const at::Tensor& w) {
  return w.numel() / w.size(0);
}

/// Shaped [Cout, 1, ...], to multiply a weight.
at::Tensor scale_per_filter(const at::Tensor& w) {
  return at::sum(at::abs(w), filter_dimensions(w), true, at::kDouble)
      .div_(filter_size(w))
      .to(at::kFloat);
}

/// magnitude * sign(w), with sign(0) = +1. Adding 0 turns -0 into +0.
at::Tensor with_sign_of(const at::Tensor& magnitude, const at::Tensor& w) {
  return at::copysign(magnitude, at::add(w, 0));
}

/// 1{|w| <= 1}; a comparison, because the gradient of clamp at its bound differs between LibTorch
/// versions.
at::Tensor inside(const at::Tensor& w) {
  return at::le(at::abs(w), 1);
}

/// dC/dW = G.
class Algorithm1 : public torch::autograd::Function<Algorithm1> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& w) {
    return with_sign_of(scale_per_filter(w), w);
  }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    return {gradients[0]};
  }
};

/// dC/dW_i = G_i * (1/n + alpha * m_i). Saves m as one byte a weight.
class Text : public torch::autograd::Function<Text> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w) {
    const at::Tensor alpha = scale_per_filter(w);
    context->save_for_backward({alpha, inside(w)});
    return with_sign_of(alpha, w);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const double n = static_cast<double>(filter_size(gradients[0]));
    return {at::mul(saved[1], saved[0]).add_(1.0 / n).mul_(gradients[0])};
  }
};

/// dC/dW_i = sign(W_i)/n * sum_j G_j sign(W_j) + G_i * alpha * m_i. Saves m and W >= 0, each as one
/// byte a weight.
class Exact : public torch::autograd::Function<Exact> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w) {
    const at::Tensor alpha = scale_per_filter(w);
    context->save_for_backward({alpha, inside(w), at::ge(w, 0)});
    return with_sign_of(alpha, w);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& g = gradients[0];
    const at::Tensor sign = saved[2].to(at::kFloat).mul_(2).sub_(1);
    const at::Tensor through_alpha =
        at::sum(at::mul(g, sign), filter_dimensions(g), true, at::kDouble)
            .div_(filter_size(g))
            .to(at::kFloat);
    const at::Tensor through_sign = at::mul(saved[1], saved[0]).mul_(g);
    return {through_sign.addcmul_(sign, through_alpha)};
  }
};

/// dC/dW_i = G_i * (1/n + alpha * m_i) * (1 - 1/Cin) * n with m_i = 1 if |W_i| < 1.
class AuthorsCode : public torch::autograd::Function<AuthorsCode> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w) {
    const at::Tensor alpha = scale_per_filter(w);
    context->save_for_backward({alpha, at::lt(at::abs(w), 1)});
    return with_sign_of(alpha, w);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto n = static_cast<double>(filter_size(gradients[0]));
    const double factor = (1 - 1 / static_cast<double>(gradients[0].size(1))) * n;
    return {at::mul(saved[1], saved[0]).add_(1.0 / n).mul_(factor).mul_(gradients[0])};
  }
};

}  // namespace

Gradient gradient_of(const std::string& option) {
  if (option == "text") return Gradient::text;
  if (option == "exact") return Gradient::exact;
  if (option == "authors_code") return Gradient::authors_code;
  return Gradient::algorithm1;
}

at::Tensor filter_scale(const at::Tensor& weight) {
  return scale_per_filter(weight).reshape({-1});
}

Encoding Weight::encoding(const SlotInfo&) const {
  return Encoding::binary(ScaleKind::channel);
}

at::Tensor Weight::forward(const SlotContext&, const at::Tensor& latent) {
  switch (gradient_) {
    case Gradient::text:
      return Text::apply(latent);
    case Gradient::exact:
      return Exact::apply(latent);
    case Gradient::authors_code:
      return AuthorsCode::apply(latent);
    case Gradient::algorithm1:
      break;
  }
  return Algorithm1::apply(latent);
}

Encoded Weight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = at::ge(w, 0).to(at::kByte);
  encoded.scale = filter_scale(w);
  const std::int64_t filters = encoded.scale.numel();
  const auto bad = filters - at::isfinite(encoded.scale).sum().item<std::int64_t>();
  if (bad != 0) {
    throw Error(ErrorKind::diverged, method_ + ": " + std::to_string(bad) + " of " +
                                         std::to_string(filters) + " filters of " +
                                         context.slot->node +
                                         " have a mean |W| that is not finite\n"
                                         "help: lower the learning rate");
  }
  return encoded;
}

}  // namespace qhost::scaled_sign
