/// lowering/pack/passes/affine_into_encode.h: an affine that only encode steps read becomes part of
/// their thresholds, one row per channel.
///
///     fma(x, a, b) >= t      a > 0:  x >= u,    u the first float for which it holds
///                            a < 0: -x >= u,    u the first -x for which it holds
///                            a = 0: always where b >= t, else never
///
/// fma is rounded and so rises with x: the codes are those of the affine, for every x. A row takes
/// the place of a factor and a shift, which pays for codes of up to two bits.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void affine_into_encode(packed::Program& program);

}  // namespace qhost::packing
