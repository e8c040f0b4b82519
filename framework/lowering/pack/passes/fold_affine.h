/// lowering/pack/passes/fold_affine.h: an affine that alone reads a conv2d or linear step becomes its
/// scale and bias.
///
///     fma(fma(y, s, d), a, b)  =  fma(y, s*a, b + d*a)
///
/// s*a and b + d*a are computed in double and rounded once. The values differ from the two steps' in
/// their last bits.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void fold_affine(packed::Program& program);

}  // namespace qhost::packing
