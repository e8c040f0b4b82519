/// lowering/pack/passes/integer_thresholds.h: a conv2d or linear step whose sums are integers, and
/// that one encode step reads, compares its sums with integers.
///
///     code(S) = number of j with  d[c] * S >= t[c][j],      S = u * sum
///
/// Between the two may stand what works channel by channel and is monotone however it is rounded:
/// the step's own scale and bias, affines, relu, relu6, hardtanh, leaky_relu with a slope of 0 or
/// more. Evaluation computes, each line rounded to float32,
///
///     y = sum;  y = y * scale[c];  y = y + bias[c];  y = fma(y, a[c], b[c]);  y = max(y, 0);  code
///
/// and t is found by bisecting exactly that over the range of S that the weights of the filter
/// allow: every code is evaluation's. d = -1 where y falls with S. The step stays as it is where a
/// y is NaN, where there are more than 15 thresholds, where its sums have a factor per position, or
/// where they may pass 2^30.
#pragma once

#include "packed/program.h"

namespace qhost::packing {

void integer_thresholds(packed::Program& program);

}  // namespace qhost::packing
