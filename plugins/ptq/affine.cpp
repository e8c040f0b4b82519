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
#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <vector>

namespace qhost::ptq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double smallest_scale = std::numeric_limits<float>::epsilon();

at::Tensor along(const at::Tensor& values, const at::Tensor& like, int dimension) {
  if (values.numel() == 1) return values.reshape({});
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape.at(static_cast<std::size_t>(dimension)) = values.numel();
  return values.reshape(shape);
}

/// round(x * (1/s)) + z, not yet clamped. Adding z = 0 turns -0 into +0.
at::Tensor unclamped(const at::Tensor& x, const AffineParams& params, int dimension) {
  const at::Tensor inverse = at::div(at::ones_like(params.scale), params.scale);
  return at::round(at::mul(x, along(inverse, x, dimension)))
      .add_(along(params.zero_point.to(at::kFloat), x, dimension));
}

class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& scale,
                            const at::Tensor& zero_point, std::int64_t minimum,
                            std::int64_t maximum, std::int64_t dimension) {
    const int channels = static_cast<int>(dimension);
    at::Tensor code = unclamped(x, {scale, zero_point}, channels);
    // One byte an element; the gradient of clamp at its bound differs between LibTorch versions.
    context->save_for_backward({at::ge(code, minimum).logical_and_(at::le(code, maximum))});
    return code.clamp_(minimum, maximum)
        .sub_(along(zero_point.to(at::kFloat), x, channels))
        .mul_(along(scale, x, channels));
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0]),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

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
  return FakeQuantize::apply(
      x, params.scale, params.zero_point, static_cast<std::int64_t>(range.minimum),
      static_cast<std::int64_t>(range.maximum), static_cast<std::int64_t>(dimension));
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
