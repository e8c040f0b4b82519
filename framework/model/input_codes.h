/// model/input_codes.h: what an input quantizer does, found by asking it.
///
/// Nothing but encode() is used. The codes must be a rising step function of each value, the same
/// for every sample and position (but maybe not for every channel): the float at which each step
/// stands is found by bisection over the ordered floats, all channels and steps at once, and then
/// held against encode() around every step, at the special values and at some thousand others.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "lowering/pack/input_codes.h"
#include "model/plan.h"

namespace qhost {

/// `encode` calls the slot's encode() for a tensor [N, ...] of the slot's shape, and holds the
/// result against what was announced. A quantizer without thresholds gets InputCodes::refusal.
InputCodes find_input_codes(const PlannedSlot& slot,
                            const std::function<EncodedInput(const at::Tensor&)>& encode);

}  // namespace qhost
