/// Shared by both contract plugins: rounding to codes with a straight-through gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace qhost::contract {

/// The largest code, 2^bits - 1. Used as a zero point in half steps, it gives the levels +-1/2,
/// +-3/2, ...: symmetric, without 0.
inline std::int64_t largest_code(int bits) {
  return (std::int64_t{1} << bits) - 1;
}

/// clip(round(t), 0, 2^bits - 1) as float32, half to even. With u (uniform in [0, 1), shape of t),
/// floor(t + u) instead of round(t), whose mean is t.
at::Tensor round_to_code(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits);

/// The same, differentiable: the gradient passes where 0 <= t <= 2^bits - 1, bounds included.
at::Tensor round_to_code_ste(const at::Tensor& t, const std::optional<at::Tensor>& u, int bits);

/// x, with the gradient multiplied by `factor` (LSQ's g = 1/sqrt(N * Qp), arXiv 1902.08153).
at::Tensor scale_gradient(const at::Tensor& x, double factor);

}  // namespace qhost::contract
