/// model/stored.h: between LibTorch's tensors and the bytes of an inference graph.
#pragma once

#include <ATen/core/Tensor.h>

#include "graph/stored_tensor.h"
#include "qhost/quantizer.h"

namespace qhost {

/// The stored form of what encode() gave for a tensor of `shape` (broken_promise() must have found
/// nothing wrong with it).
StoredTensor stored(const Encoded& encoded, at::IntArrayRef shape);
/// A float32 tensor of any layout and device.
StoredTensor stored(const at::Tensor& values);
/// The reverse: codes in row-major order; the tensor must have contents.
Encoded encoded(const StoredTensor& tensor, at::Device device);

}  // namespace qhost
