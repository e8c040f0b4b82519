/// The sign of Binarized Neural Networks (arXiv 1602.02830), with sign(0) = sign(-0) = +1, and its
/// two gradients. Values are float32 -1 and +1.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace qhost::bnn {

/// sign(x); with u (uniform in [0, 1), x's shape) +1 exactly where u < (x + 1)/2, which has the
/// probability clip((x + 1)/2, 0, 1).
at::Tensor sign_of(const at::Tensor& x, const std::optional<at::Tensor>& u);

/// The same, with dC/dx = dC/db.
at::Tensor sign_identity(const at::Tensor& x);

/// The same, with dC/dx = dC/db where |x| <= 1, else 0: the gradient of hardtanh.
at::Tensor sign_hardtanh(const at::Tensor& x, const std::optional<at::Tensor>& u);

}  // namespace qhost::bnn
