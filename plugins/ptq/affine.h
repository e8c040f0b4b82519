/// Integers with a scale and a zero point, as PyTorch's torch.ao.quantization computes them.
///
/// From the smallest and largest value seen, lo and hi, and the codes qmin .. qmax:
///
///     lo' = min(lo, 0), hi' = max(hi, 0)                      0 is always exact
///     affine      s = max((hi' - lo') / (qmax - qmin), 2^-23)
///                 z = clamp(qmin - round(lo' / s), qmin, qmax)
///     symmetric   s = max(max(-lo', hi') / ((qmax - qmin) / 2), 2^-23)
///                 z = 0                                       (signed codes)
///
///     q  = clamp(round(x * (1/s)) + z, qmin, qmax)            round: half to even; 1/s rounded
///     x^ = (q - z) * s                                        to float32 first, as PyTorch does
///
/// all in float32. s and z are scalars, or have one entry per channel.
///
/// Paper: Jacob et al., arXiv 1712.05877; Krishnamoorthi, arXiv 1806.08342.
#pragma once

#include <ATen/core/Tensor.h>

#include "qhost/quantizer.h"

namespace qhost::ptq {

struct CodeRange {
  int minimum = 0, maximum = 255;

  static CodeRange unsigned_bits(int bits) { return {0, (1 << bits) - 1}; }
  static CodeRange signed_bits(int bits) { return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1}; }
  /// Without the lowest code: -127 .. 127 for 8 bits.
  static CodeRange restricted_bits(int bits) {
    return {1 - (1 << (bits - 1)), (1 << (bits - 1)) - 1};
  }
};

struct AffineParams {
  at::Tensor scale;       ///< float32: scalar or [channels]
  at::Tensor zero_point;  ///< int32: scalar or [channels]
};

/// `low` and `high` are float32, scalars or [channels], low <= high and finite.
AffineParams affine_params(const at::Tensor& low, const at::Tensor& high, const CodeRange& range);
AffineParams symmetric_params(const at::Tensor& low, const at::Tensor& high,
                              const CodeRange& range);

/// q of each element, as float32. `dimension` is that of the channels.
at::Tensor affine_codes(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                        int dimension);

/// x^, whose gradient passes where round(x/s) + z does not saturate.
at::Tensor fake_quantize(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                         int dimension);

/// The stored form. Codes are stored from 0 on, so `encoding` needs bits for
/// 0 .. 2^(bits-1) + qmax when qmin < 0: the zero point is stored as 2 * (z + 2^(bits-1)).
Encoded encode_affine(const at::Tensor& x, const AffineParams& params, const CodeRange& range,
                      const Encoding& encoding, int dimension);

}  // namespace qhost::ptq
