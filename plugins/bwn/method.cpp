#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>

#include "qhost/error.h"

namespace qhost::bwn {
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

}  // namespace

std::vector<Option> options() {
  return {
      Option::string("gradient", "algorithm1",
                     "what reaches the latent weights; algorithm1: the gradient of the scaled "
                     "binary weights; text: that times 1/n + alpha where |W| <= 1; exact: the "
                     "derivative of alpha(W) * sign(W)")
          .one_of({"algorithm1", "text", "exact"})
          .from_paper("Algorithm 1 and section 3.1"),
  };
}

Settings Settings::from(const Options& options) {
  Settings settings;
  const std::string& gradient = options.string("gradient");
  if (gradient == "text") settings.gradient = Gradient::text;
  if (gradient == "exact") settings.gradient = Gradient::exact;
  return settings;
}

at::Tensor filter_scale(const at::Tensor& weight) {
  return scale_per_filter(weight).reshape({-1});
}

Encoding ScaledBinaryWeight::encoding(const SlotInfo&) const {
  return Encoding::binary(ScaleKind::channel);
}

at::Tensor ScaledBinaryWeight::forward(const SlotContext&, const at::Tensor& latent) {
  switch (settings_.gradient) {
    case Gradient::text:
      return Text::apply(latent);
    case Gradient::exact:
      return Exact::apply(latent);
    case Gradient::algorithm1:
      break;
  }
  return Algorithm1::apply(latent);
}

Encoded ScaledBinaryWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = at::ge(w, 0).to(at::kByte);
  encoded.scale = filter_scale(w);
  const std::int64_t filters = encoded.scale.numel();
  const auto bad = filters - at::isfinite(encoded.scale).sum().item<std::int64_t>();
  if (bad != 0) {
    throw Error(ErrorKind::diverged, "bwn: " + std::to_string(bad) + " of " +
                                         std::to_string(filters) + " filters of " +
                                         context.slot->node +
                                         " have a mean |W| that is not finite\n"
                                         "help: lower the learning rate");
  }
  return encoded;
}

std::unique_ptr<WeightQuantizer> BinaryWeightNetwork::weight(const SlotInfo&) {
  return std::make_unique<ScaledBinaryWeight>(settings_);
}

QuantizerMethod method() {
  return {
      .name = "bwn",
      .summary = "binary weights times the mean |W| of their filter",
      .paper =
          "Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net (Binary-Weight-Networks), ECCV 2016, "
          "arXiv 1603.05279",
      .options = options(),
      .roles = {Role::weight},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinaryWeightNetwork>(Settings::from(given));
      },
  };
}

}  // namespace qhost::bwn
