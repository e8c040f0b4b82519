/// lowering/pack/passes/drop_dead_steps.h: takes out the steps that the output does not depend on.
/// The input stays.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void drop_dead_steps(packed::Program& program);

}  // namespace qhost::packing
