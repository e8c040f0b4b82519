#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>

#include "qhost/error.h"

namespace qhost::ternary {
namespace {

/// All dimensions but, per filter, the first.
std::vector<std::int64_t> group_dimensions(const at::Tensor& w, bool per_filter) {
  std::vector<std::int64_t> dimensions;
  for (std::int64_t d = per_filter ? 1 : 0; d < w.dim(); ++d) dimensions.push_back(d);
  return dimensions;
}

/// Shaped to multiply the weight.
at::Tensor over_weight(const at::Tensor& scale, const at::Tensor& w) {
  if (scale.dim() == 0) return scale;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(w.dim()), 1);
  shape[0] = scale.numel();
  return scale.reshape(shape);
}

at::Tensor value_of(const at::Tensor& w, const Settings& settings) {
  const Ternary t = ternarize(w, settings);
  return at::mul(t.levels, over_weight(t.scale, w));
}

/// dC/dW = dC/dW~.
class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& w, double factor,
                            bool per_filter) {
    return value_of(w, {.factor = factor, .per_filter = per_filter});
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

std::vector<Option> options() {
  return {
      Option::real("factor", 0.7,
                   "threshold in units of the mean |W|: a weight of at most that size becomes 0")
          .at_least(0)
          .from_paper("section 2"),
      Option::string("scale_per", "layer",
                     "what shares a threshold and a scale: the layer, as in the authors' code, or "
                     "each filter")
          .one_of({"layer", "filter"}),
  };
}

Settings Settings::from(const Options& options) {
  return {.factor = options.real("factor"), .per_filter = options.string("scale_per") == "filter"};
}

Ternary ternarize(const at::Tensor& weight, const Settings& settings) {
  const std::vector<std::int64_t> group = group_dimensions(weight, settings.per_filter);
  const at::Tensor size = at::abs(weight);
  const std::int64_t groups = settings.per_filter ? weight.size(0) : 1;
  const double n = static_cast<double>(weight.numel() / groups);
  const at::Tensor threshold =
      at::sum(size, group, true, at::kDouble).mul_(settings.factor / n).to(at::kFloat);
  const at::Tensor kept = at::gt(size, threshold).to(at::kFloat);
  // A sum of 0 over a count of 0 would be no number.
  const at::Tensor count = at::sum(kept, group, false, at::kDouble).clamp_min_(1);
  Ternary result;
  result.scale = at::sum(size.mul_(kept), group, false, at::kDouble).div_(count).to(at::kFloat);
  // -1 for a negative weight; adding 0 keeps a -0 out of the levels.
  result.levels = at::gt(weight, 0).to(at::kFloat).mul_(2).sub_(1).mul_(kept).add_(0);
  return result;
}

Encoding TernaryWeight::encoding(const SlotInfo&) const {
  return Encoding::ternary(settings_.per_filter ? ScaleKind::channel : ScaleKind::tensor);
}

at::Tensor TernaryWeight::forward(const SlotContext&, const at::Tensor& latent) {
  return StraightThrough::apply(latent, settings_.factor, settings_.per_filter);
}

Encoded TernaryWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const Ternary t = ternarize(latent.detach(), settings_);
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = t.levels.add(1).to(at::kByte);
  encoded.scale = t.scale;
  const std::int64_t scales = t.scale.numel();
  const auto bad = scales - at::isfinite(t.scale).sum().item<std::int64_t>();
  if (bad != 0) {
    throw Error(ErrorKind::diverged, "ternary: " + std::to_string(bad) + " of " +
                                         std::to_string(scales) + " scales of " +
                                         context.slot->node +
                                         " are not finite, since latent weights are not\n"
                                         "help: lower the learning rate");
  }
  return encoded;
}

std::unique_ptr<WeightQuantizer> TernaryWeightNetwork::weight(const SlotInfo&) {
  return std::make_unique<TernaryWeight>(settings_);
}

QuantizerMethod method() {
  return {
      .name = "ternary",
      .summary = "weights of -alpha, 0 and +alpha, alpha per layer or per filter",
      .paper = "Li, Zhang, Liu, Ternary Weight Networks, 2016, arXiv 1605.04711",
      .options = options(),
      .roles = {Role::weight},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<TernaryWeightNetwork>(Settings::from(given));
      },
  };
}

}  // namespace qhost::ternary
