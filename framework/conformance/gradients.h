/// conformance/gradients.h: the part of check_quantizer() for Role::gradient.
#pragma once

#include <vector>

#include "conformance/conformance.h"

namespace qhost::conformance {

/// Adds the findings of each variant's gradient slots; returns true if any slot was taken.
bool check_gradients(const QuantizerMethod& method, std::vector<Finding>& findings);

}  // namespace qhost::conformance
