#include <string>

#include "qhost/graph.h"

namespace qhost {

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (std::int64_t dim : dims) product *= dim;
  return product;
}

std::string to_string(const Shape& shape) {
  std::string text = "[N";
  for (std::int64_t dim : shape.dims) text += "," + std::to_string(dim);
  return text + "]";
}

}  // namespace qhost
