/// What a loop over the values of a tensor needs to run over plain memory, in one pass where
/// several operations of LibTorch would each take one. Other tensors (of another device or type)
/// take those operations.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <limits>

#include "qhost/parallel.h"

namespace qhost::dense {

/// Whether a loop can run over it at all.
inline bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat;
}

/// x, its values side by side in memory: contiguous, channels_last or any other order.
inline at::Tensor without_gaps(const at::Tensor& x) {
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

/// Uninitialized, of x's shape and order in memory; x has no gaps.
inline at::Tensor like(const at::Tensor& x, at::ScalarType type) {
  return at::empty_strided(x.sizes(), x.strides(), x.options().dtype(type));
}

/// x with its values in the order of `model`, which has no gaps.
inline at::Tensor in_order_of(const at::Tensor& model, const at::Tensor& x) {
  if (x.strides() == model.strides()) return x;
  return at::empty_strided(model.sizes(), model.strides(), x.options()).copy_(x);
}

/// Values that one call of a loop's body takes at most: 64 KiB of float32.
constexpr std::int64_t block = 1 << 14;

/// body(first, last) for all values of x, on LibTorch's threads.
inline void loop(const at::Tensor& x, const std::function<void(std::int64_t, std::int64_t)>& body) {
  parallel_blocks(x.numel(), block, body);
}

/// keep ? value : 0, the 0 with the value's sign as in a product with 0, also where the value is
/// not finite. Without a branch, which would keep the compiler from taking several values at once.
inline float kept_if(bool keep, float value) {
  constexpr std::int32_t sign_bit = std::numeric_limits<std::int32_t>::min();
  const std::int32_t mask = -static_cast<std::int32_t>(keep) | sign_bit;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(value) & mask);
}

}  // namespace qhost::dense
