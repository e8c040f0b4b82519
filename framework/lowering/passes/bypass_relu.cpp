#include "lowering/passes/bypass_relu.h"

#include <utility>

#include "common/defect.h"
#include "qhost/error.h"

namespace qhost {
namespace {

/// Builds the new list of nodes; indices of the old one keep their meaning meanwhile.
class Bypass {
 public:
  explicit Bypass(const InferenceGraph& graph) : graph_(graph) {}

  std::vector<InferenceNode> nodes() {
    for (const InferenceNode& old : graph_.nodes) {
      InferenceNode node = old;
      for (InferenceEdge& edge : node.inputs) {
        edge.node = edge.elision ? in_front_of_relu(old, edge) : new_index(edge.node);
        edge.elision.reset();
      }
      new_index_.push_back(static_cast<int>(nodes_.size()));
      nodes_.push_back(std::move(node));
    }
    return std::move(nodes_);
  }
  int new_index(int old) const { return new_index_.at(static_cast<std::size_t>(old)); }

 private:
  int in_front_of_relu(const InferenceNode& reader, const InferenceEdge& edge) {
    const ReluElision& elision = *edge.elision;
    require_fits(reader, elision);
    int source = new_index(elision.source);
    for (const int through : elision.through) source = repeated(reader, through, source);
    return source;
  }

  void require_fits(const InferenceNode& reader, const ReluElision& elision) const {
    const InferenceNode& relu = graph_.node(elision.relu);
    const auto* options = std::get_if<ActivationOptions>(&relu.options);
    if (options != nullptr && options->kind == Activation::relu &&
        relu.inputs.at(0).node == elision.source) {
      return;
    }
    throw defect("bypass_relu: " + reader.name + " is to pass " + relu.name +
                 ", which is no relu of " + graph_.node(elision.source).name);
  }

  /// Node `through` of the network on the value of `source`.
  int repeated(const InferenceNode& reader, int through, int source) {
    const auto [known, is_new] =
        repeated_.try_emplace({through, source}, static_cast<int>(nodes_.size()));
    if (!is_new) return known->second;
    const InferenceNode& old = graph_.node(through);
    InferenceNode node{.name = reader.name + "/" + old.name,
                       .repeats = old.name,
                       .op = old.op,
                       .options = old.options};
    node.inputs = {{.node = source}};
    node.shape = old.shape;
    nodes_.push_back(std::move(node));
    return known->second;
  }

  const InferenceGraph& graph_;
  std::vector<InferenceNode> nodes_;
  std::vector<int> new_index_;
  std::map<std::pair<int, int>, int> repeated_;
};

}  // namespace

void bypass_relu(InferenceGraph& graph) {
  Bypass bypass(graph);
  std::vector<InferenceNode> nodes = bypass.nodes();
  graph.output = bypass.new_index(graph.output);
  graph.nodes = std::move(nodes);
}

}  // namespace qhost
