#include "storage/tensor_bytes.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "qhost/error.h"

namespace qhost::storage {
namespace {

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr Dtype dtypes[] = {{"F32", at::kFloat}, {"F64", at::kDouble}, {"U8", at::kByte},
                            {"I32", at::kInt},   {"I64", at::kLong},   {"BF16", at::kBFloat16},
                            {"F16", at::kHalf},  {"I8", at::kChar},    {"BOOL", at::kBool},
                            {"I16", at::kShort}, {"U16", at::kUInt16}, {"U32", at::kUInt32},
                            {"U64", at::kUInt64}};

}  // namespace

void TensorBytes::add(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous(at::MemoryFormat::Contiguous);
  for (const Dtype& dtype : dtypes) {
    if (dtype.type != plain.scalar_type()) continue;
    storage::TensorView view;
    view.dtype = dtype.name;
    view.shape = plain.sizes().vec();
    view.data = static_cast<const std::byte*>(plain.const_data_ptr());
    view.bytes = plain.nbytes();
    views_[name] = view;
    kept_.push_back(plain);
    return;
  }
  throw Error(ErrorKind::internal, name + ": a tensor of type " +
                                       std::string(c10::toString(tensor.scalar_type())) +
                                       " cannot be stored");
}

std::map<std::string, at::Tensor> read_tensors(const storage::File& file,
                                               const std::string& prefix) {
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, view] : file.tensors()) {
    if (!name.starts_with(prefix)) continue;
    for (const Dtype& dtype : dtypes) {
      if (view.dtype != dtype.name) continue;
      at::Tensor tensor = at::empty(view.shape, at::TensorOptions(dtype.type));
      if (view.bytes != 0) std::memcpy(tensor.mutable_data_ptr(), view.data, view.bytes);
      result[name.substr(prefix.size())] = tensor;
    }
  }
  return result;
}

}  // namespace qhost::storage
