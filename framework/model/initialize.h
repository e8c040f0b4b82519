/// model/initialize.h: the first values of parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include "qhost/graph.h"
#include "qhost/random.h"

namespace qhost {

/// Writes the values that `spec.init` prescribes (formulas at qhost::Initialization) into `tensor`,
/// in row-major order of its indices, so that the layout does not change them. `weight` is the
/// shape that fan_in and fan_out are taken from: the tensor's own, or for a bias its node's weight.
void draw(at::Tensor& tensor, Initialization init, const std::vector<std::int64_t>& weight,
          std::int64_t groups, Random random);

}  // namespace qhost
