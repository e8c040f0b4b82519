/// The stochastic sign of Binarized Neural Networks (arXiv 1602.02830, Eq. 2).
#pragma once

#include <ATen/core/Tensor.h>

namespace qhost::bnn {

/// +1 where u < (x + 1)/2, else -1; with u uniform in [0, 1), of x's shape, +1 has the probability
/// clip((x + 1)/2, 0, 1). dC/dx = dC/db where |x| <= 1, else 0.
at::Tensor stochastic_sign(const at::Tensor& x, const at::Tensor& u);

}  // namespace qhost::bnn
