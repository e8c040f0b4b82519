/// lowering/pack/passes/clip_into_encode.h: an activation that only clips, and that only encode steps
/// read, becomes part of their thresholds.
///
///     max(x, 0) >= t          where t <= 0: always;  else x >= t              relu
///     min(max(x, l), h) >= t  where t <= l: always;  t > h: never;  else x >= t
///                                                    relu6 (0, 6), hardtanh (-1, 1)
///
/// Max pools and flattens may stand between them: the largest of clipped values is the clipped
/// largest. No code changes.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void clip_into_encode(packed::Program& program);

}  // namespace qhost::packing
