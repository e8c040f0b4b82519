// Binary-Weight-Network (Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net, ECCV 2016, arXiv
// 1603.05279, section 3.1): each filter becomes a scale times a pattern of -1 and +1.
//
// For a filter W of n = Cin/groups * kh * kw weights (one row of a linear layer, n = in):
//
//     alpha = (1/n) * sum_i |W_i|                     (Eq. 6; one per output channel)
//     W~    = alpha * sign(W), sign(0) = +1           (Algorithm 1)
//
// The gradient that reaches W, with G = dC/dW~ and m_i = 1{|W_i| <= 1}; the paper gives two:
//
//     algorithm1   G_i                                          Algorithm 1 as printed
//     text         G_i * (1/n + alpha * m_i)                    section 3.1
//     exact        sign(W_i)/n * sum_j G_j sign(W_j) + G_i * alpha * m_i
//                  the derivative of alpha(W) * sign(W) with d sign(r)/dr = 1{|r| <= 1}
//
// The latent weights are not clipped. The first and the last layer stay in float by default.
#include "qhost/plugin.h"
#include "shared/scaled_sign_ste.h"

QHOST_PLUGIN(bwn, "Binary-Weight-Network: binary weights with a scale per filter", "Apache-2.0",
             "qhost") {
  using qhost::Option;
  registrar.add_quantizer({
      .name = "bwn",
      .summary = "binary weights times the mean |W| of their filter",
      .paper = "Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net (Binary-Weight-Networks), ECCV 2016, "
               "arXiv 1603.05279",
      .options = {Option::string(
                      "gradient", "algorithm1",
                      "what reaches the latent weights; algorithm1: the gradient of the scaled "
                      "binary weights; text: that times 1/n + alpha where |W| <= 1; exact: the "
                      "derivative of alpha(W) * sign(W)")
                      .one_of({"algorithm1", "text", "exact"})
                      .from_paper("Algorithm 1 and section 3.1")},
      .keep_float = {"first", "last"},
      .create = qhost::stateless<qhost::scaled_sign::Weight>,
  });
}
