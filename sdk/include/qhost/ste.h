/// qhost/ste.h: straight-through estimators, and the other pieces of a quantizer's formula.
///
/// An estimator replaces the derivative of a step function. With y the value, G = dC/dy the
/// gradient that arrives, and 1{...} = 1 where the condition holds, else 0:
///
///     function                     y                          dC/dx
///     sign_identity(x)             sign(x)                    G
///     sign_clipped(x, b)           sign(x)                    G * 1{|x| <= b}
///     round_identity(x)            round(x), half to even     G
///     clip(x, low, high)           min(max(x, low), high)     G * 1{low <= x <= high}
///     straight_through(x, y)       y                          G
///     straight_through(x, y, m)    y                          G * m
///
/// The bounds are inside. They are compared explicitly, since the gradient of at::clamp at its
/// bounds differs between versions of LibTorch. Backward keeps the mask, one byte a value, and not
/// x. A masked gradient is 0 also where G is not finite.
///
/// x is a float32 tensor of any shape, device and memory order; y has the same shape and order. The
/// functions may run concurrently. They throw Error(internal), exit code 1, for an undefined tensor
/// and for shapes that differ, and what LibTorch throws.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "qhost/export.h"

namespace qhost::ste {

/// -1 or +1, without a gradient. Both zeros have the sign `of_zero`, +1 or -1 (see
/// Encoding::sign_of_zero).
QHOST_API at::Tensor sign(const at::Tensor& x, int of_zero = +1);
/// The codes of these signs in an Encoding::binary: uint8, 1 for +1 and 0 for -1.
QHOST_API at::Tensor sign_codes(const at::Tensor& x, int of_zero = +1);

QHOST_API at::Tensor sign_identity(const at::Tensor& x, int of_zero = +1);
QHOST_API at::Tensor sign_clipped(const at::Tensor& x, double bound = 1, int of_zero = +1);
QHOST_API at::Tensor round_identity(const at::Tensor& x);
QHOST_API at::Tensor clip(const at::Tensor& x, double low, double high);

/// The value `y`, which was computed from x without a gradient, with the gradient of an identity.
/// The result shares y's memory: y must not be changed afterwards.
QHOST_API at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y);
/// The same with the gradient only where `inside`, bool and of x's shape, is true.
QHOST_API at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y,
                                      const at::Tensor& inside);
/// g where `inside` is true, else 0: what a method's own gradient masks with.
QHOST_API at::Tensor masked(const at::Tensor& g, const at::Tensor& inside);

/// The mean of each filter: [Cout] of a weight [Cout, ...]. The sum runs in float64 and the mean is
/// rounded to float32 once, so that the memory order does not matter.
QHOST_API at::Tensor filter_mean(const at::Tensor& w);
/// `values`, a scalar or one number for each index of `dimension`, in the shape that broadcasts
/// over `like`: [Cout] becomes [Cout, 1, 1, 1] for a weight.
QHOST_API at::Tensor along(const at::Tensor& values, const at::Tensor& like,
                           std::int64_t dimension = 0);

}  // namespace qhost::ste
