/// lowering/pack/passes/share_encodes.h: encode steps that make equal codes of one value become one,
/// and so do the decode steps that read them.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void share_encodes(packed::Program& program);

}  // namespace qhost::packing
