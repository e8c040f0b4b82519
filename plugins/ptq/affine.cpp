#include "affine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/div.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "qhost/ste.h"

namespace qhost::ptq {
namespace {

constexpr double smallest_scale = std::numeric_limits<float>::epsilon();

/// round(x * (1/s)) + z, not yet clamped. Adding z = 0 turns -0 into +0.
at::Tensor unclamped(const at::Tensor& x, const AffineParams& params, int dimension) {
  const at::Tensor inverse = at::div(at::ones_like(params.scale), params.scale);
  return at::round(at::mul(x, ste::along(inverse, x, dimension)))
      .add_(ste::along(params.zero_point.to(at::kFloat), x, dimension));
}

}  // namespace

AffineParams affine_params(const at::Tensor& low, const at::Tensor& high, const CodeRange& range) {
  const at::Tensor minimum = at::clamp_max(low, 0), maximum = at::clamp_min(high, 0);
  const double steps = range.maximum - range.minimum;
  const at::Tensor scale = at::div(at::sub(maximum, minimum), steps).clamp_min_(smallest_scale);
  const at::Tensor zero_point = at::neg(at::round(at::div(minimum, scale)))
                                    .add_(range.minimum)
                                    .clamp_(range.minimum, range.maximum)
                                    .to(at::kInt);
  return {scale, zero_point};
}

AffineParams symmetric_params(const at::Tensor& low, const at::Tensor& high,
                              const CodeRange& range) {
  const at::Tensor magnitude = at::maximum(at::neg(at::clamp_max(low, 0)), at::clamp_min(high, 0));
  const double half = static_cast<double>(range.maximum - range.minimum) / 2;
  const at::Tensor scale = at::div(magnitude, half).clamp_min_(smallest_scale);
  return {scale, at::zeros_like(scale, scale.options().dtype(at::kInt))};
}

at::Tensor affine_codes(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                        int dimension) {
  return unclamped(x, params, dimension).clamp_(range.minimum, range.maximum);
}

at::Tensor fake_quantize(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                         int dimension) {
  const at::Tensor plain = x.detach();
  at::Tensor code = unclamped(plain, params, dimension);
  const at::Tensor inside = at::ge(code, range.minimum).logical_and_(at::le(code, range.maximum));
  code.clamp_(range.minimum, range.maximum)
      .sub_(ste::along(params.zero_point.to(at::kFloat), plain, dimension))
      .mul_(ste::along(params.scale, plain, dimension));
  return ste::straight_through(x, code, inside);
}

Encoded encode_affine(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                      const Encoding& encoding, int dimension) {
  const at::NoGradGuard no_grad;
  const std::int64_t offset = range.minimum < 0 ? std::int64_t{1} << (encoding.bits - 1) : 0;
  Encoded encoded;
  encoded.encoding = encoding;
  encoded.codes = affine_codes(x.detach(), params, range, dimension).add_(offset).to(at::kByte);
  encoded.scale = params.scale.clone();
  at::Tensor zero_point = params.zero_point.add(offset).mul_(2);
  if (encoding.zero_point == ZeroPointKind::tensor) zero_point = zero_point.reshape({-1})[0];
  encoded.zero_point = zero_point.clone();
  return encoded;
}

}  // namespace qhost::ptq
