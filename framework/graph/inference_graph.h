/// graph/inference_graph.h: what inference computes, and on which stored tensors. Needs no LibTorch.
///
/// An architecture's Graph (qhost/graph.h) says what is trained. This one says what is left of it
/// when the network only answers: which batch norm is part of which layer, which edge is quantized
/// how, where a quantizer reads, and every tensor in its stored form. `lowering/` produces it,
/// evaluation interprets it, summary, scores and files are written from it: nothing else decides
/// what is folded, bypassed or dropped. docs/inference_graph.md has the JSON.
///
/// A conv2d or linear node computes, in float32 and in this order,
///     y = conv(levels of the input's codes, levels of the weight's codes)
///     y = y * (weight scale * input scale)     where there is one or both
///     y = y * output scale                     an input encoding with ScaleKind::position
///     y = y + bias
/// A node of another operation reads decoded values: scale * level.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/relu_elision.h"
#include "graph/stored_tensor.h"
#include "qhost/encoding.h"
#include "qhost/graph.h"

namespace qhost {

/// One input of a node.
struct InferenceEdge {
  int node = 0;        ///< index of the node that is read, an earlier one
  Encoding encoding;   ///< float32: the value as it is
  std::string method;  ///< the quantizer that encodes it; "" for a float
  /// What the padding of a convolution holds around these values. Other than 0 only for an encoding
  /// without a scale of its own: there levels and values are the same numbers.
  double padding_value = 0;
  /// To be carried out by bypass_relu: the edge reads in front of a ReLU. See graph/relu_elision.h, whose
  /// ids are those of the network that the graph began as.
  std::optional<ReluElision> elision;
};

struct InferenceNode {
  std::string name;  ///< the network's, or OWNER/NAME for a node that a pass inserted
  /// Of an inserted node: the network's node that it repeats on other values. "" otherwise.
  std::string repeats;
  Op op = Op::input;
  NodeOptions options;      ///< as in qhost/graph.h; a custom node of a file has no operation
  std::string custom_type;  ///< of a custom node
  std::vector<InferenceEdge> inputs;
  Shape shape;  ///< of the output, one sample

  /// Names of stored tensors, by parameter ("weight", "bias", "running_mean", a custom node's own):
  /// one name, or one for each network where each has a tensor of its own.
  std::map<std::string, std::vector<std::string>> tensors;
  std::string method;  ///< the quantizer that encodes the weight; "" for a float

  /// To be carried out by fold_batch_norm and add_correction_bias.
  bool folds_batch_norm = false;
  bool corrects_bias = false;

  /// The batch norm that was folded into this node's weight and bias; "" without.
  std::string folded_batch_norm;
  /// How many times one sample makes it run: once for each sampled network of an ensemble from the
  /// first sampled layer on. Set by count_networks.
  int networks = 1;

  bool has_weight() const { return op == Op::conv2d || op == Op::linear; }
  bool has_tensor(const std::string& parameter) const { return tensors.contains(parameter); }
  template <class T>
  const T& as() const {
    return std::get<T>(options);
  }
};

struct InferenceGraph {
  std::vector<InferenceNode> nodes;  ///< in topological order; the first is the input
  int output = 0;                    ///< index of the node whose value is the logits
  /// Evaluation averages the outputs of this many networks.
  int networks = 1;
  std::map<std::string, StoredTensor> tensors;

  const InferenceNode& node(int index) const { return nodes.at(static_cast<std::size_t>(index)); }
  InferenceNode& node(int index) { return nodes.at(static_cast<std::size_t>(index)); }
  /// Index of the node of that name, or -1.
  int find(std::string_view name) const;
  /// Indices of the nodes that read `index`, in order; one that reads it twice stands there twice.
  std::vector<int> readers(int index) const;
  /// The stored tensor of a node's parameter, of one network; null without.
  const StoredTensor* tensor(const InferenceNode& node, const std::string& parameter,
                             int network = 0) const;
  StoredTensor* tensor(const InferenceNode& node, const std::string& parameter, int network = 0);

  /// Every edge that reads `from`, and the output, reads `to` instead.
  void redirect(int from, int to);
  /// Inserts before `index`; all indices follow.
  void insert(int index, InferenceNode node);
  /// Takes out the nodes of which `is_dead` is true, which nobody may read (Error, internal), and
  /// the tensors that only they named.
  void remove_if(const std::function<bool(int)>& is_dead);
};

/// "" when the graph is sound, else one sentence that names the node or the tensor and both values:
/// one input node, the first; every edge reads an earlier node; names, tensors and options that the
/// operations need, and no others; shapes that follow from them; every tensor as why_invalid() of
/// graph/stored_tensor.h has it, and named by some node; no pass left to be carried out.
std::string why_invalid(const InferenceGraph& graph);

}  // namespace qhost
