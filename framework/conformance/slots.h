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

/// Of a convolution with a 3x3 kernel on images of 8x8 (`in` and `out` are channels), or of a
/// linear layer: the shape that the role sees, the kernel, the fans.
Slot affine_slot(Op op, Role role, std::int64_t in, std::int64_t out);
/// The input of an add, a concat or a pooling: 6 channels of 8x8.
Slot joining_slot(Op op);
/// The same slot in the network's first, or last, layer.
Slot as_first(Slot slot);
Slot as_last(Slot slot);
/// The same input behind a ReLU.
Slot non_negative(Slot slot);

SlotContext context_of(const SlotInfo& slot, Mode mode, std::int64_t step = 0);

}  // namespace qhost::conformance
