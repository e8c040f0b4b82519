/// The complaints that the methods of this plugin share: each names the method, the node and both
/// numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "qhost/quantizer.h"

namespace qhost::ptq {

/// "the weight of stage1.conv", "input 0 of stage1.add".
std::string slot_text(const SlotInfo& slot);

/// Throws Error(diverged) unless all of `x` is finite. `method` is the component's name.
void require_finite(const std::string& method, const SlotInfo& slot, const at::Tensor& x);

}  // namespace qhost::ptq
