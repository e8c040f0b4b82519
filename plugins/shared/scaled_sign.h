/// Binary weights with a scale per filter, as Binary-Weight-Network and XNOR-Net use them
/// (Rastegari, Ordonez, Redmon, Farhadi, ECCV 2016, arXiv 1603.05279). Compiled into each plugin
/// that needs it.
///
/// For a filter W of n = Cin/groups * kh * kw weights (one row of a linear layer, n = in):
///
///     alpha = (1/n) * sum_i |W_i|                   (Eq. 6; one per output channel)
///     B     = sign(W), +1 at 0
///     W~    = alpha * B                             (Algorithm 1)
///
/// W and W~ have the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]; alpha is [Cout].
/// The sum runs in double and alpha is rounded to float once.
///
/// The gradient that reaches W, with G = dC/dW~ and m_i = 1 if |W_i| <= 1, else 0 (the bound is
/// inside). The paper gives two that differ:
///
///     algorithm1   G_i                                          Algorithm 1 as printed
///     text         G_i * (1/n + alpha * m_i)                    section 3.1
///     exact        sign(W_i)/n * sum_j G_j sign(W_j) + G_i * alpha * m_i
///                  the derivative of alpha(W) * sign(W) with d sign(r)/dr = 1{|r| <= 1};
///                  j runs over the filter
///     authors_code G_i * (1/n + alpha * 1{|W_i| < 1}) * (1 - 1/Cin) * n
///                  the published program's, made for weights whose mean over the Cin = Cin/groups
///                  input channels is taken off
#pragma once

#include <string>
#include <utility>

#include "qhost/quantizer.h"

namespace qhost::scaled_sign {

enum class Gradient { algorithm1, text, exact, authors_code };
/// Of the option's value, which is one of those names.
Gradient gradient_of(const std::string& option);

/// alpha of each filter, [Cout].
at::Tensor filter_scale(const at::Tensor& weight);

/// One slot's weights.
class Weight : public WeightQuantizer {
 public:
  /// `method` is named in errors.
  Weight(std::string method, Gradient gradient) : method_(std::move(method)), gradient_(gradient) {}

  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) if a filter's scale is not finite.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  std::string method_;
  Gradient gradient_;
};

}  // namespace qhost::scaled_sign
