#include "graph/inference_graph.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/defect.h"
#include "qhost/error.h"

namespace qhost {

int InferenceGraph::find(std::string_view name) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [name](const InferenceNode& node) { return node.name == name; });
  return found == nodes.end() ? -1 : static_cast<int>(found - nodes.begin());
}

std::vector<int> InferenceGraph::readers(int index) const {
  std::vector<int> indices;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const InferenceEdge& edge : nodes[i].inputs) {
      if (edge.node == index) indices.push_back(static_cast<int>(i));
    }
  }
  return indices;
}

const StoredTensor* InferenceGraph::tensor(const InferenceNode& node, const std::string& parameter,
                                           int network) const {
  const auto names = node.tensors.find(parameter);
  if (names == node.tensors.end() || names->second.empty()) return nullptr;
  const std::size_t count = names->second.size();
  const std::string& name = names->second[static_cast<std::size_t>(network) % count];
  const auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : &found->second;
}

StoredTensor* InferenceGraph::tensor(const InferenceNode& node, const std::string& parameter,
                                     int network) {
  return const_cast<StoredTensor*>(std::as_const(*this).tensor(node, parameter, network));
}

void InferenceGraph::redirect(int from, int to) {
  for (InferenceNode& node : nodes) {
    for (InferenceEdge& edge : node.inputs) {
      if (edge.node == from) edge.node = to;
    }
  }
  if (output == from) output = to;
}

void InferenceGraph::insert(int index, InferenceNode node) {
  for (InferenceNode& each : nodes) {
    for (InferenceEdge& edge : each.inputs) {
      if (edge.node >= index) ++edge.node;
    }
  }
  if (output >= index) ++output;
  nodes.insert(nodes.begin() + index, std::move(node));
}

void InferenceGraph::remove_if(const std::function<bool(int)>& is_dead) {
  std::vector<int> moved(nodes.size(), -1);
  std::vector<InferenceNode> kept;
  std::set<std::string> named_by_dead, named_by_kept;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const bool dead = is_dead(static_cast<int>(i));
    for (const auto& [unused, names] : nodes[i].tensors) {
      (dead ? named_by_dead : named_by_kept).insert(names.begin(), names.end());
    }
    if (dead) continue;
    moved[i] = static_cast<int>(kept.size());
    kept.push_back(nodes[i]);
  }
  const auto new_index = [&](int old, const std::string& reader) {
    const int index = moved.at(static_cast<std::size_t>(old));
    if (index >= 0) return index;
    throw defect("the node " + node(old).name + ", which " + reader +
                 " reads, is taken out of the inference graph");
  };
  for (InferenceNode& each : kept) {
    for (InferenceEdge& edge : each.inputs) edge.node = new_index(edge.node, each.name);
  }
  output = new_index(output, "the caller");
  nodes = std::move(kept);
  for (const std::string& name : named_by_dead) {
    if (!named_by_kept.contains(name)) tensors.erase(name);
  }
}

}  // namespace qhost
