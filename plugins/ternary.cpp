// Ternary Weight Networks (Li, Zhang, Liu, EMDNN workshop of NIPS 2016, arXiv 1605.04711): weights
// of -alpha, 0 and +alpha.
//
// For a group of n weights W (section 2):
//
//     Delta = factor * (1/n) * sum_i |W_i|                           (factor 0.7)
//     T_i   = +1 if W_i > Delta,  -1 if W_i < -Delta,  else 0        (0 at the bounds)
//     alpha = mean of |W_i| over the weights with |W_i| > Delta
//     W~    = alpha * T
//
// scale_per = "layer" makes one group of all weights of the layer, as the authors' code does;
// "filter" makes one of each output channel, as much later code does. A group without a weight
// beyond its threshold has alpha = 0. The sums run in float64; Delta and alpha are rounded to
// float32 once.
//
// Gradient: dC/dW = dC/dW~ for every weight, no mask, no factor alpha. The latent weights are not
// clipped. All layers are ternary by default, the first and the last included: the authors' switch
// has no exception.
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/sum.h>

#include <vector>

#include "qhost/options.h"
#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"

namespace {

using namespace qhost;

class TernaryWeight : public StatelessWeight {
 public:
  explicit TernaryWeight(const Options& options)
      : factor_(options.real("factor")), per_filter_(options.string("scale_per") == "filter") {}

  Encoding encoding(const SlotInfo&) const override {
    return Encoding::ternary(per_filter_ ? ScaleKind::channel : ScaleKind::tensor);
  }

  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    std::vector<std::int64_t> group;
    for (std::int64_t d = per_filter_ ? 1 : 0; d < w.dim(); ++d) group.push_back(d);
    const double n = static_cast<double>(w.numel() / (per_filter_ ? w.size(0) : 1));
    const at::Tensor size = at::abs(w);
    const at::Tensor delta =
        at::sum(size, group, true, at::kDouble).mul_(factor_ / n).to(at::kFloat);
    const at::Tensor kept = at::gt(size, delta).to(at::kFloat);
    // A sum of 0 over a count of 0 would be no number.
    const at::Tensor count = at::sum(kept, group, false, at::kDouble).clamp_min_(1);
    const at::Tensor alpha =
        at::sum(size.mul(kept), group, false, at::kDouble).div_(count).to(at::kFloat);
    // The codes of -1, 0 and +1 are 0, 1 and 2.
    const at::Tensor codes = at::gt(w, 0).to(at::kFloat).mul_(2).sub_(1).mul_(kept).add_(1);
    return {.encoding = encoding(*context.slot), .codes = codes.to(at::kByte), .scale = alpha};
  }

 private:
  double factor_;
  bool per_filter_;
};

}  // namespace

QHOST_PLUGIN(ternary, "Ternary Weight Networks: weights of -alpha, 0 and +alpha", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer({
      .name = "ternary",
      .summary = "weights of -alpha, 0 and +alpha, alpha per layer or per filter",
      .paper = "Li, Zhang, Liu, Ternary Weight Networks, 2016, arXiv 1605.04711",
      .options = {Option::real(
                      "factor", 0.7,
                      "threshold in units of the mean |W|: a weight of at most that size becomes 0")
                      .at_least(0)
                      .from_paper("section 2"),
                  Option::string(
                      "scale_per", "layer",
                      "what shares a threshold and a scale: the layer, as in the authors' "
                      "code, or each filter")
                      .one_of({"layer", "filter"})},
      .create = stateless<TernaryWeight>,
  });
}
