#include "model/stored.h"

#include <ATen/ATen.h>

#include <cstring>

#include "graph/pack_codes.h"

namespace qhost {
namespace {

/// The elements in row-major order, on the CPU.
at::Tensor in_order(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.detach().to(at::kCPU, type).contiguous();
}

template <class Value>
std::vector<Value> numbers(const at::Tensor& tensor, at::ScalarType type) {
  if (!tensor.defined()) return {};
  const at::Tensor values = in_order(tensor, type);
  const auto* data = values.const_data_ptr<Value>();
  return {data, data + values.numel()};
}

void append_bytes(const at::Tensor& tensor, std::vector<std::uint8_t>& bytes) {
  const auto* data = static_cast<const std::uint8_t*>(tensor.const_data_ptr());
  bytes.assign(data, data + tensor.nbytes());
}

at::ScalarType type_of(CodeKind kind) {
  return kind == CodeKind::float32   ? at::kFloat
         : kind == CodeKind::float16 ? at::kHalf
                                     : at::kBFloat16;
}

std::vector<std::int64_t> shape_of_codes(const StoredTensor& tensor) {
  std::vector<std::int64_t> shape = tensor.shape;
  if (tensor.encoding.ensemble_size > 1) {
    shape.insert(shape.begin(), tensor.encoding.ensemble_size);
  }
  return shape;
}

/// A tensor of these numbers; [] where there is one for all.
template <class Value>
at::Tensor tensor_of(const std::vector<Value>& values, at::ScalarType type, bool one_for_all,
                     at::Device device) {
  if (values.empty()) return {};
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, type);
  std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(Value));
  if (one_for_all) tensor = tensor.reshape({});
  return tensor.to(device);
}

at::Tensor codes_of(const StoredTensor& tensor, at::Device device) {
  const Encoding& encoding = tensor.encoding;
  if (encoding.is_float()) {
    at::Tensor values = at::empty(shape_of_codes(tensor), type_of(encoding.kind));
    std::memcpy(values.mutable_data_ptr(), tensor.codes.data(), tensor.codes.size());
    return values.to(device, at::kFloat);
  }
  at::Tensor codes = at::empty(shape_of_codes(tensor), at::kByte);
  const std::span<std::uint8_t> all(codes.mutable_data_ptr<std::uint8_t>(),
                                    static_cast<std::size_t>(codes.numel()));
  const auto elements = static_cast<std::size_t>(tensor.elements());
  const auto bytes = static_cast<std::size_t>(stored_sizes(tensor).member_bytes);
  for (std::size_t member = 0; member < static_cast<std::size_t>(encoding.ensemble_size);
       ++member) {
    unpack_codes(std::span(tensor.codes).subspan(member * bytes, bytes), encoding.bits,
                 all.subspan(member * elements, elements));
  }
  return codes.to(device);
}

}  // namespace

StoredTensor stored(const Encoded& encoded, at::IntArrayRef shape) {
  StoredTensor tensor{.encoding = encoded.encoding, .shape = shape.vec()};
  tensor.scale = numbers<float>(encoded.scale, at::kFloat);
  tensor.zero_point = numbers<std::int32_t>(encoded.zero_point, at::kInt);
  tensor.table = numbers<float>(encoded.table, at::kFloat);
  const Encoding& encoding = encoded.encoding;
  if (encoding.is_float()) {
    append_bytes(in_order(encoded.codes, type_of(encoding.kind)), tensor.codes);
    return tensor;
  }
  const at::Tensor codes = in_order(encoded.codes, at::kByte);
  const std::span<const std::uint8_t> all(codes.const_data_ptr<std::uint8_t>(),
                                          static_cast<std::size_t>(codes.numel()));
  const auto elements = static_cast<std::size_t>(tensor.elements());
  const StoredSizes sizes = stored_sizes(tensor);
  const auto bytes = static_cast<std::size_t>(sizes.member_bytes);
  tensor.codes.resize(static_cast<std::size_t>(sizes.code_bytes));
  for (std::size_t member = 0; member < static_cast<std::size_t>(encoding.ensemble_size);
       ++member) {
    pack_codes(all.subspan(member * elements, elements), encoding.bits,
               std::span(tensor.codes).subspan(member * bytes, bytes));
  }
  return tensor;
}

StoredTensor stored(const at::Tensor& values) {
  StoredTensor tensor{.encoding = Encoding::float32(), .shape = values.sizes().vec()};
  append_bytes(in_order(values, at::kFloat), tensor.codes);
  return tensor;
}

Encoded encoded(const StoredTensor& tensor, at::Device device) {
  const Encoding& encoding = tensor.encoding;
  Encoded result{.encoding = encoding, .codes = codes_of(tensor, device)};
  result.scale = tensor_of(tensor.scale, at::kFloat, encoding.scale == ScaleKind::tensor, device);
  result.zero_point =
      tensor_of(tensor.zero_point, at::kInt, encoding.zero_point == ZeroPointKind::tensor, device);
  result.table = tensor_of(tensor.table, at::kFloat, false, device);
  if (encoding.codebook_per_channel) {
    result.table = result.table.reshape({tensor.channels(), -1});
  }
  return result;
}

}  // namespace qhost
