/// graph/tensor_name.h: the name of a network's tensor is that of its node, a point, and that of the
/// parameter: "stage1.block0.conv1.weight".
#pragma once

#include <string>

namespace qhost {

inline std::string tensor_name(const std::string& node, const std::string& parameter) {
  return node + "." + parameter;
}
/// "stage1.block0.conv1" of "stage1.block0.conv1.weight".
inline std::string node_of_tensor(const std::string& tensor) {
  return tensor.substr(0, tensor.rfind('.'));
}

}  // namespace qhost
