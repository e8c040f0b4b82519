/// What both contract plugins share: rounding to codes with a straight-through gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace qhost::contract {

/// The largest code, 2^bits - 1. As a zero point in half steps it puts the levels at
/// +-1/2, +-3/2, ...: symmetric, without 0.
inline std::int64_t largest_code(int bits) {
  return (std::int64_t{1} << bits) - 1;
}

/// clip(round(t), 0, 2^bits - 1) as float32, half to even; with u (uniform in [0, 1), t's shape)
/// the draw floor(t + u), whose mean is t.
at::Tensor round_to_code(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits);

/// The same, differentiable: the gradient passes where 0 <= t <= 2^bits - 1, the bounds inside.
at::Tensor round_to_code_ste(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits);

/// x, whose gradient is multiplied by `factor` (LSQ's g = 1/sqrt(N * Qp), arXiv 1902.08153).
at::Tensor scale_gradient(const at::Tensor& x, double factor);

}  // namespace qhost::contract
