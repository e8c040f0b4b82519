/// qhost/dense.h: loops over the values of a tensor in memory order.
///
/// Several tensor operations in a row each pass over the whole memory of an activation. A loop over
/// plain memory passes once:
///
///     if (!dense::is_plain(given)) return at::relu(given);
///     const at::Tensor x = dense::without_gaps(given);
///     at::Tensor y = dense::like(x, at::kFloat);
///     const float* from = x.const_data_ptr<float>();
///     float* to = y.mutable_data_ptr<float>();
///     dense::loop(x, [=](std::int64_t first, std::int64_t last) {
///       for (std::int64_t i = first; i < last; ++i)
///         to[i] = dense::kept_if(from[i] > 0, from[i]);
///     });
///     return y;
///
/// A tensor on another device or of another type takes LibTorch's operations instead. Nothing here
/// records a gradient. The functions throw what LibTorch throws (c10::Error: exit code 3 when it
/// leaves a plugin).
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <limits>

#include "qhost/parallel.h"

namespace qhost::dense {

/// Whether a loop can read it: float32 on the CPU.
inline bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat;
}

/// x with its values side by side in memory, in whatever order of the dimensions; a copy only where
/// there are gaps.
inline at::Tensor without_gaps(const at::Tensor& x) {
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

/// Not initialized, of x's shape and memory order; x has no gaps.
inline at::Tensor like(const at::Tensor& x, at::ScalarType type) {
  return at::empty_strided(x.sizes(), x.strides(), x.options().dtype(type));
}

/// x with its values in the memory order of `model`, which has x's shape and no gaps.
inline at::Tensor in_order_of(const at::Tensor& model, const at::Tensor& x) {
  if (x.strides() == model.strides()) return x;
  return at::empty_strided(model.sizes(), model.strides(), x.options()).copy_(x);
}

/// The largest number of values that one call of a loop's body takes: 64 KiB of float32.
constexpr std::int64_t block = 1 << 14;

/// Calls body(first, last) for all values of x on LibTorch's threads; see qhost/parallel.h.
inline void loop(const at::Tensor& x, const std::function<void(std::int64_t, std::int64_t)>& body) {
  parallel_blocks(x.numel(), block, body);
}

/// keep ? value : 0. The 0 has the value's sign, as a product with 0 has; it is 0 also where the
/// value is not finite. There is no branch, which would keep the compiler from vectorizing the
/// loop.
inline float kept_if(bool keep, float value) {
  constexpr std::int32_t sign_bit = std::numeric_limits<std::int32_t>::min();
  const std::int32_t mask = -static_cast<std::int32_t>(keep) | sign_bit;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(value) & mask);
}

}  // namespace qhost::dense
