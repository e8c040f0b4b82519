/// packed/infer_shape.h: the shape of a step's value, from what it reads and its options.
#pragma once

#include <optional>
#include <string>

#include "packed/program.h"

namespace qhost::packed {

/// Empty, and a sentence in `why`, where the inputs or options make no shape. The inputs of the step
/// must be indices of earlier steps, whose shapes are sound. Every number stays far within 64 bits.
std::optional<Shape> infer_shape(const Program& program, const Step& step, std::string& why);

}  // namespace qhost::packed
