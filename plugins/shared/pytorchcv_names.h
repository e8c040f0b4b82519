/// plugins/shared/pytorchcv_names.h: the names that pytorchcv gives the tensors of its residual
/// networks for CIFAR (github.com/osmr/imgclsmob, the package pytorchcv).
#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace qhost {

/// "features.stage1.unit2.body.conv1.bn.weight" for "stage1.block1.bn1.weight". `preactivation`: a
/// block normalizes in front of its convolutions, the stem has no batch norm and the last one
/// stands behind the stages.
inline std::string pytorchcv_name(const std::string& tensor, bool preactivation) {
  std::vector<std::string> parts;
  std::istringstream in(tensor);
  for (std::string part; std::getline(in, part, '.');) parts.push_back(part);
  const std::string parameter = "." + parts.back();
  const std::string& layer = parts[0];
  if (layer == "fc") return "output" + parameter;
  if (layer == "conv1")
    return std::string("features.init_block") + (preactivation ? "" : ".conv") + parameter;
  if (layer == "bn1") return "features.init_block.bn" + parameter;
  if (layer == "bn") return "features.post_activ.bn" + parameter;
  const int unit = std::stoi(parts.at(1).substr(std::string("block").size())) + 1;
  const std::string prefix = "features." + layer + ".unit" + std::to_string(unit) + ".";
  const std::string& inner = parts.at(2);
  if (inner == "shortcut") {
    const std::string kind = parts.size() > 4 && !preactivation ? "." + parts[3] : "";
    return prefix + "identity_conv" + kind + parameter;
  }
  const bool norm = inner.starts_with("bn");
  const std::string number = inner.substr(norm ? 2 : 4);
  return prefix + "body.conv" + number + (norm ? ".bn" : ".conv") + parameter;
}

}  // namespace qhost
