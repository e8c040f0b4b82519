/// storage/tensor_bytes.h: converts tensors to and from the containers of storage/.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "storage/safetensors.h"

namespace qhost::storage {

/// Row-major CPU copies of tensors, as views for a writer: the bytes do not depend on a tensor's
/// layout or device.
class TensorBytes {
 public:
  void add(const std::string& name, const at::Tensor& tensor);
  const storage::Tensors& views() const { return views_; }

 private:
  std::vector<at::Tensor> kept_;
  storage::Tensors views_;
};

/// The tensors whose names begin with `prefix`, as new, aligned, row-major CPU tensors by name. The
/// prefix is removed from the names.
std::map<std::string, at::Tensor> read_tensors(const storage::File& file,
                                               const std::string& prefix);

}  // namespace qhost::storage
