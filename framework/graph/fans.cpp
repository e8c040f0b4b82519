#include "graph/fans.h"

#include <stdexcept>

namespace qhost {

Fans fans(const std::vector<std::int64_t>& weight_shape, std::int64_t groups) {
  if (weight_shape.size() < 2 || groups < 1) {
    throw std::invalid_argument("fans of a weight need two dimensions and a group");
  }
  std::int64_t kernel = 1;
  for (std::size_t i = 2; i < weight_shape.size(); ++i) kernel *= weight_shape[i];
  return {weight_shape[1] * kernel, weight_shape[0] / groups * kernel};
}

Fans fans(const Node& node) {
  if (node.op == Op::conv2d) {
    return fans(node.parameters.at(0).shape, node.as<Conv2dOptions>().groups);
  }
  static_cast<void>(node.as<LinearOptions>());  // throws for what has no weight
  return fans(node.parameters.at(0).shape);
}

}  // namespace qhost
