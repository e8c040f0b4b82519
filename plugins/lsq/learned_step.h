/// The quantizer of LSQ and its derivatives, as section 2 of the paper prints them (arXiv
/// 1902.08153):
///
///     v^      = round(clip(v/s, -Qn, Qp)) * s             (Eq. 1 and 2; round half to even)
///     dv^/dv  = 1 if -Qn < v/s < Qp, else 0               (Eq. 5; 0 at the bounds)
///     dv^/ds  = round(v/s) - v/s   if -Qn < v/s < Qp      (Eq. 3)
///             = -Qn                if v/s <= -Qn
///             =  Qp                if v/s >=  Qp
///
/// and the gradient of s is multiplied by g (section 2.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace qhost::lsq {

/// The levels -Qn .. Qp.
struct Levels {
  std::int64_t qn = 0;
  std::int64_t qp = 0;

  /// Qn = 2^(bits-1), Qp = 2^(bits-1) - 1.
  static Levels signed_of(int bits);
  /// Qn = 0, Qp = 2^bits - 1.
  static Levels unsigned_of(int bits);
};

/// round(clip(v/s, -Qn, Qp)) + Qn as float32: 0 .. Qn + Qp. `s` is a scalar tensor.
at::Tensor codes(const at::Tensor& v, const at::Tensor& s, const Levels& levels);

/// v^, differentiable with respect to v and s.
at::Tensor quantize(const at::Tensor& v, const at::Tensor& s, const Levels& levels,
                    double gradient_scale);

/// g = 1 / sqrt(n * Qp).
double gradient_scale(std::int64_t n, const Levels& levels);

/// 2 * mean|v| / sqrt(Qp), and at least `smallest_step`.
at::Tensor first_step(const at::Tensor& v, const Levels& levels);

/// The paper leaves open what happens to a step that its gradient drives to 0 or below; here it
/// stops at this value.
constexpr double smallest_step = 1e-8;

}  // namespace qhost::lsq
