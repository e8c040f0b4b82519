/// conformance/gradients.h: the part of check_quantizer() that is about Role::gradient.
#pragma once

#include <vector>

#include "conformance/conformance.h"

namespace qhost::conformance {

/// Adds the findings of each variant's gradient slots; true when some slot was taken.
bool check_gradients(const QuantizerMethod& method, std::vector<Finding>& findings);

}  // namespace qhost::conformance
