/// plugins/shared/scaled_sign_ste.h: binary weights with a scale per filter, for Binary-Weight-Network
/// and XNOR-Net (Rastegari et al., ECCV 2016, arXiv 1603.05279). The formulas are in ../bwn.cpp;
/// `authors_code` is XNOR-Net's alone:
///
///     G_i * (1/n + alpha * 1{|W_i| < 1}) * (1 - 1/Cin) * n
///
/// which is the published program's under SGD, for weights whose mean over the Cin = Cin/groups
/// input channels is taken off. With Adam the program leaves the factor n out, and multiplies all
/// gradients of the network by 1e9 before weight decay is added: against them the decay and Adam's
/// epsilon do nothing. As Adam does not see the scale of a gradient, weight_decay = 0 and
/// epsilon = 1e-17 in [optimizer] come to the same.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/le.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mul.h>

#include <string>

#include "qhost/options.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace qhost::scaled_sign {

/// One slot's weights. The option `gradient` names the gradient.
class Weight : public StatelessWeight {
 public:
  explicit Weight(const Options& options) : gradient_(options.string("gradient")) {}

  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::channel); }

  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot),
            .codes = ste::sign_codes(w),
            .scale = ste::filter_mean(at::abs(w))};
  }

  at::Tensor gradient(const SlotContext&, const at::Tensor& w, const at::Tensor& g) const override {
    if (gradient_ == "algorithm1") return g;
    const at::Tensor size = at::abs(w);
    const at::Tensor alpha = ste::along(ste::filter_mean(size), w);
    const double n = static_cast<double>(w.numel()) / static_cast<double>(w.size(0));
    if (gradient_ == "text") return at::mul(at::le(size, 1), alpha).add_(1 / n).mul_(g);
    if (gradient_ == "authors_code") {
      const double factor = (1 - 1 / static_cast<double>(w.size(1))) * n;
      return at::mul(at::lt(size, 1), alpha).add_(1 / n).mul_(factor).mul_(g);
    }
    const at::Tensor sign = ste::sign(w);
    const at::Tensor through_alpha = ste::along(ste::filter_mean(at::mul(g, sign)), w);
    return at::mul(at::le(size, 1), alpha).mul_(g).addcmul_(sign, through_alpha);
  }

 private:
  std::string gradient_;
};

}  // namespace qhost::scaled_sign
