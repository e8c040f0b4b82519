#include "report/score_network.h"

#include "common/defect.h"
#include "lowering/lower.h"
#include "lowering/start_graph.h"
#include "qhost/error.h"

namespace qhost::report {
namespace {

Operand operand_of(const Encoding& encoding) {
  Operand operand;
  switch (encoding.kind) {
    case CodeKind::float32:
    case CodeKind::float16:
    case CodeKind::bfloat16:
      operand.kind = Operand::Kind::real;
      break;
    case CodeKind::binary:
      operand.kind = Operand::Kind::sign;
      break;
    case CodeKind::ternary:
      operand.kind = Operand::Kind::ternary;
      break;
    case CodeKind::uniform:
      operand.kind = Operand::Kind::integer;
      break;
    case CodeKind::codebook:
      operand.kind = Operand::Kind::table;
      break;
  }
  operand.bits = encoding.bits;
  operand.scale = encoding.scale;
  operand.zero_point = encoding.zero_point;
  operand.table_per_channel = encoding.codebook_per_channel;
  operand.ensemble_size = encoding.ensemble_size;
  return operand;
}

Operand operand_of(int bits) {
  const auto kind = bits == 32 || bits == 16 ? Operand::Kind::real
                    : bits == 1              ? Operand::Kind::sign
                                             : Operand::Kind::integer;
  return {.kind = kind, .bits = static_cast<double>(bits)};
}

void set_sparsity(ScoredNode& node, const Sparsity& sparsity) {
  const auto n = static_cast<std::int64_t>(node.weights);
  if (sparsity.nonzero < 0 || sparsity.nonzero > n || sparsity.block < 1) {
    throw defect("a score is given " + std::to_string(sparsity.nonzero) + " non-zero weights of " +
                 node.layer.name + ", which has " + std::to_string(n) + ", in blocks of " +
                 std::to_string(sparsity.block));
  }
  node.nonzero = static_cast<double>(sparsity.nonzero);
  node.mask_bits = static_cast<double>((n + sparsity.block - 1) / sparsity.block);
}

ScoredNode resolve(const Node& node, const SummaryLayer& layer, const ScoreRequest& request) {
  ScoredNode result;
  result.node = &node;
  result.layer = layer;
  result.has_weight = layer.weight.has_value();
  if (layer.input) result.input = operand_of(*layer.input);
  if (!result.has_weight) return result;
  result.weight = operand_of(*layer.weight);
  if (request.uniform) {
    result.weight = operand_of(request.uniform->weight_bits);
    result.input = operand_of(request.uniform->input_bits);
  }
  result.weights = static_cast<double>(Shape{node.parameters.at(0).shape}.elements());
  result.nonzero = result.weights;
  const auto sparsity = request.sparsity.find(node.name);
  if (sparsity != request.sparsity.end()) set_sparsity(result, sparsity->second);
  return result;
}

bool folds_batch_norms(ScoreRule rule) {
  switch (rule) {
    case ScoreRule::micronet:
    case ScoreRule::micronet_adder_tree:
    case ScoreRule::micronet_float_adds:
    case ScoreRule::course_folded:
      return true;
    default:
      return false;
  }
}

/// What is left of the network's node: itself, or a node that repeats it on other values; or null.
const InferenceNode* left_of(const InferenceGraph& lowered, const std::string& name) {
  const InferenceNode* left = nullptr;
  for (const InferenceNode& node : lowered.nodes) {
    if (node.name == name) return &node;
    if (node.repeats == name) left = &node;
  }
  return left;
}

void take_what_is_left(const InferenceGraph& lowered, std::vector<ScoredNode>& nodes) {
  for (ScoredNode& node : nodes) {
    const InferenceNode* left = left_of(lowered, node.layer.name);
    node.runs = left != nullptr;
    if (!node.runs) continue;
    node.takes_batch_norm = !left->folded_batch_norm.empty();
    node.has_bias = node.has_weight && left->has_tensor("bias");
    node.networks = left->networks;
  }
}

void require_sparsity_fits(const Graph& graph, const std::map<std::string, Sparsity>& sparsity) {
  for (const auto& [name, unused] : sparsity) {
    const Node* node = graph.find(name);
    if (node != nullptr && (node->op == Op::conv2d || node->op == Op::linear)) continue;
    throw defect("a score is given the zeros of `" + name + "`, " +
                 (node == nullptr ? "which the network does not have" : "which has no weight"));
  }
}

void require_values(const Summary& summary) {
  if (summary.parameters > 0) return;
  throw Error(ErrorKind::configuration,
              "the network has no weights: 0 learned values in " +
                  std::to_string(summary.layers.size()) +
                  (summary.layers.size() == 1 ? " node" : " nodes") +
                  ", and a score compares what is stored and computed for weights",
              "an architecture with a conv2d or linear layer has a score; `qhost summary` "
              "shows what this one has");
}

}  // namespace

ScoredNetwork scored_network(const Graph& graph, const ScoreRequest& request) {
  const LayerPlans none;
  const LayerPlans& plans = request.uniform ? none : request.plans;
  const Summary summary = summarize(graph, plans);
  require_values(summary);
  require_sparsity_fits(graph, request.sparsity);

  ScoredNetwork network;
  network.graph = &graph;
  network.uniform = request.uniform;
  std::size_t next = 0;
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::input) continue;
    network.nodes.push_back(resolve(node, summary.layers.at(next++), request));
    const ScoredNode& last = network.nodes.back();
    network.quantized = network.quantized || !last.weight.is_real() || !last.input.is_real();
  }
  const Purpose purpose =
      folds_batch_norms(request.rule) ? Purpose::score_folded : Purpose::score_as_trained;
  take_what_is_left(lower(start_graph(graph, plans), purpose), network.nodes);
  return network;
}

}  // namespace qhost::report
