#include <algorithm>

#include "qhost/graph.h"

namespace qhost {

const Node* Graph::find(std::string_view name) const {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [name](const Node& node) { return node.name == name; });
  return found == nodes_.end() ? nullptr : &*found;
}

std::vector<int> Graph::consumers(int id) const {
  std::vector<int> ids;
  for (const Node& node : nodes_) {
    const auto reads = std::count(node.inputs.begin(), node.inputs.end(), id);
    ids.insert(ids.end(), static_cast<std::size_t>(reads), node.id);
  }
  return ids;
}

CustomOpBase::~CustomOpBase() = default;

std::vector<ParameterSpec> CustomOpBase::parameters(const std::vector<Shape>&) const {
  return {};
}

std::int64_t CustomOpBase::macs(const std::vector<Shape>&) const {
  return 0;
}

}  // namespace qhost
