#include "graph/relu_elision.h"

#include <algorithm>

#include "sdk/describe.h"
#include "sdk/diagnose.h"

namespace qhost {
namespace {

const Node& source_of(const Graph& graph, const Node& node) {
  return graph.node(node.inputs[0]);
}

bool is_activation(const Node& node, Activation kind) {
  return node.op == Op::activation && node.as<ActivationOptions>().kind == kind;
}

// Its output is never negative, whatever it reads.
bool is_rectifier(const Node& node) {
  return is_activation(node, Activation::relu) || is_activation(node, Activation::relu6) ||
         is_activation(node, Activation::sigmoid);
}

// Non-negative in, non-negative out: what lies behind it hides behind it.
bool keeps_sign(const Node& node) {
  switch (node.op) {
    case Op::activation:
    case Op::dropout:
    case Op::flatten:
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
    case Op::subsample:
      return true;
    default:
      return false;
  }
}

// The rectifier whose sign `node`'s output still carries, or null.
const Node* hidden_rectifier(const Graph& graph, const Node& node) {
  const Node* current = &node;
  while (!is_rectifier(*current)) {
    if (!keeps_sign(*current)) return nullptr;
    current = &source_of(graph, *current);
  }
  return current;
}

[[noreturn]] void refuse(const Node& node, int edge, const Node& between, const Node& rectifier) {
  std::string sentence = "input " + std::to_string(edge) + " wants signed values, but ";
  std::vector<Operand> operands;
  if (&between == &rectifier) {
    sentence += "reads `" + rectifier.name + "`, which is never negative and no relu";
  } else {
    sentence += "`" + between.name + "` stands between it and `" + rectifier.name +
                "`, which is never negative";
    operands.push_back({"between", &between, ""});
  }
  operands.push_back({"rectifier", &rectifier, ""});
  throw node_error(place_of(node), node.name, operation_name(node), sentence, operands,
                   "leave this input in float (keep_float), choose a quantizer of non-negative "
                   "inputs, or let only dropout, flatten and max_pool stand behind a relu");
}

}  // namespace

std::optional<ReluElision> elide_relu(const Graph& graph, const Node& node, int edge) {
  ReluElision result;
  const Node* current = &graph.node(node.inputs.at(static_cast<std::size_t>(edge)));
  for (;; current = &source_of(graph, *current)) {
    if (current->op == Op::dropout) {
      result.dropouts.push_back({current->id, current->as<DropoutOptions>().probability});
    } else if (current->op == Op::max_pool || current->op == Op::flatten) {
      result.through.push_back(current->id);
    } else if (!is_activation(*current, Activation::relu)) {
      break;
    } else if (hidden_rectifier(graph, source_of(graph, *current)) == nullptr) {
      result.relu = current->id;
      result.source = current->inputs[0];
      std::reverse(result.through.begin(), result.through.end());
      std::reverse(result.dropouts.begin(), result.dropouts.end());
      return result;
    }  // else a ReLU of values that are never negative: it changes nothing, go on behind it
  }
  const Node* rectifier = hidden_rectifier(graph, *current);
  if (rectifier == nullptr) return {};
  refuse(node, edge, *current, *rectifier);
}

std::string to_string(const Graph& graph, const ReluElision& elision) {
  std::string text =
      "reads " + graph.node(elision.source).name + " instead of " + graph.node(elision.relu).name;
  std::string through;
  for (int id : elision.through) through += (through.empty() ? "" : ", ") + graph.node(id).name;
  if (!through.empty()) text += ", through " + through;
  std::string dropouts;
  for (const ElidedDropout& dropout : elision.dropouts) {
    dropouts += (dropouts.empty() ? "" : ", ") + graph.node(dropout.node).name;
  }
  if (!dropouts.empty()) text += "; " + dropouts + " on the codes";
  return text;
}

}  // namespace qhost
