/// The quantizers of DoReFa-Net (arXiv 1606.06160, sections 2.2 to 2.5), with n = 2^k - 1:
///
///     quantize_k(r) = round(n * r) / n         r in [0, 1]; round half to even; d/dr = 1
///
/// Weights of k > 1 bits, m = max|tanh(W)| over the layer:
///
///     W~ = 2 * quantize_k(tanh(W) / (2m) + 1/2) - 1         in {-1, -1 + 2/n, ..., +1}; no 0
///     dC/dW_i = G_i * t'_i / m  -  e_i * sign(t_i) * t'_i / m^2 * sum_j G_j t_j
///
///   with G = dC/dW~, t = tanh(W), t' = 1 - t^2. The second term is the way through m: e_i is 1/c
///   for the c weights with |t_i| = m, else 0. It is left out where `through_max` is false.
///   Where all weights are 0, m counts as 1: the codes are those of 0, the gradient is G.
///
/// Weights of 1 bit:
///
///     W~ = E|W| * sign(W), sign(0) = +1,  E the mean over the layer;   dC/dW = dC/dW~
///
/// Inputs of k bits:
///
///     x~ = quantize_k(clip(x, 0, 1));     dC/dx = dC/dx~ where 0 <= x <= 1, else 0
///
/// The gradient g of a layer's output, k bits, m = max|g| over one image, Eq. 12:
///
///     g~ = 2m * (quantize_k(clip(g/(2m) + 1/2 + N, 0, 1)) - 1/2),    N = (u - 1/2)/n, u in [0, 1)
///
///   N makes E[g~] = g: what it pushes out of [0, 1] rounds to a level anyway, so that the clip (of
///   the authors' program; the paper leaves it unsaid) only catches float32's rounding at the two
///   ends. An image whose m is 0 keeps its zeros.
///
/// Codes are 0 .. n. The values computed are scale * (code - zero point), rounded once: 1 ulp of
/// their layer's largest value beside the formulas above.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace qhost::dorefa {

/// 2^k - 1: the largest code, and the zero point of the weights in half steps.
inline std::int64_t largest_code(int bits) {
  return (std::int64_t{1} << bits) - 1;
}

/// Codes of weights of 2 or more bits, as float32.
at::Tensor weight_codes(const at::Tensor& w, int bits);
/// 2/n.
at::Tensor weight_scale(const at::Tensor& w, int bits);
at::Tensor quantize_weight(const at::Tensor& w, int bits, bool through_max);

/// E|W| of the layer, a scalar; the sum runs in double.
at::Tensor binary_scale(const at::Tensor& w);
at::Tensor binarize_weight(const at::Tensor& w);

/// Codes of inputs, as float32.
at::Tensor input_codes(const at::Tensor& x, int bits);
/// 1/n.
at::Tensor input_scale(const at::Tensor& x, int bits);
at::Tensor quantize_input(const at::Tensor& x, int bits);

/// g~ of gradients [N, ...]; `u` has their shape. Under NoGrad.
at::Tensor quantize_gradient(const at::Tensor& g, const at::Tensor& u, int bits);

}  // namespace qhost::dorefa
