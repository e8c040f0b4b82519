/// conformance/slots.h: slots as the host makes them, and contexts for their calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qhost/quantizer.h"

namespace qhost::conformance {

struct Slot {
  std::string name;  ///< "conv2d weight", for the findings
  SlotInfo info;
};

/// A slot of a convolution with a 3x3 kernel on 8x8 images (`in` and `out` are channels), or of a
/// linear layer, with the shape, kernel and fans of its role.
Slot affine_slot(Op op, Role role, std::int64_t in, std::int64_t out);
/// The input slot of an add, a concat or a pooling: 6 channels of 8x8.
Slot joining_slot(Op op);
/// The slot moved to the network's first, or last, layer.
Slot as_first(Slot slot);
Slot as_last(Slot slot);
/// The slot with an input from a ReLU.
Slot non_negative(Slot slot);

SlotContext context_of(const SlotInfo& slot, Mode mode, std::int64_t step = 0);

}  // namespace qhost::conformance
