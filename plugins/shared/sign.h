/// sign(x) with sign(0) = sign(-0) = +1, and its two straight-through gradients. Values are float32
/// -1 and +1, in x's shape and order in memory. On the CPU each is one pass over the values.
/// Compiled into each plugin that needs it.
#pragma once

#include <ATen/core/Tensor.h>

namespace qhost::sign {

/// Without a gradient.
at::Tensor sign_of(const at::Tensor& x);

/// dC/dx = dC/db.
at::Tensor sign_identity(const at::Tensor& x);

/// dC/dx = dC/db where |x| <= 1, else 0: the gradient of hardtanh, its bounds inside. Saves one
/// byte a value.
at::Tensor sign_hardtanh(const at::Tensor& x);

}  // namespace qhost::sign
