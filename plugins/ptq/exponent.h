/// The power-of-two step with the highest signal-to-quantization-noise ratio (course "cours2").
///
/// For a set of weights W and n >= 2 bits, with L = 2^(n-1):
///
///     W^(v)   = 2^v * clamp(round(2^-v * W), -L, L - 1)      round: half to even
///     SQNR(v) = sum W^2 / sum (W - W^(v))^2
///
/// v runs over all integers from the smallest at which nothing saturates downwards: a larger one
/// has a subset of that one's values and cannot be better. The descent ends, without a guess,
/// where what saturation alone costs exceeds the best noise found. Of equal ratios the largest v
/// wins. A set of zeros gets v = 0.
///
/// For n = 1 the values are -2^v and +2^v, with sign(0) = +1. The noise sum (|W| - 2^v)^2 is least
/// for the power of two nearest to the mean |W|; of two equally near ones the larger wins.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace qhost::ptq {

/// v of each row of `rows`, [sets, weights], float32. Sums run in double. Every v lies in -126 ..
/// 127, so that 2^v and 2^-v are normal float32 numbers; of rows that are not finite it is any of
/// these.
std::vector<int> best_exponents(const at::Tensor& rows, int bits);

}  // namespace qhost::ptq
