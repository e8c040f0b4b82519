/// report/score_network.h: a network as the scoring rules count it: the coding of every tensor, and
/// what lowering/ leaves of each node. Internal to report/score.
#pragma once

#include <vector>

#include "report/score.h"

namespace qhost::report {

/// One tensor of a layer's product.
struct Operand {
  enum class Kind { real, sign, ternary, integer, table };
  Kind kind = Kind::real;
  double bits = 32;  ///< of one code
  ScaleKind scale = ScaleKind::none;
  ZeroPointKind zero_point = ZeroPointKind::none;
  bool table_per_channel = false;
  int ensemble_size = 1;

  bool is_real() const { return kind == Kind::real; }
  /// Its products are floats: values, or a codebook's float entries.
  bool multiplies_as_float() const { return is_real() || kind == Kind::table; }
};

struct ScoredNode {
  const Node* node = nullptr;
  SummaryLayer layer;  ///< name, detail, learned values, MACs
  bool has_weight = false;
  Operand weight, input;          ///< input: of any node; float32 unless a quantizer reads there
  double weights = 0;             ///< of one member
  double nonzero = 0;             ///< equal to weights where zeros are unknown
  double mask_bits = 0;           ///< 0 where zeros are unknown
  bool runs = true;               ///< false: lowering folded it away, or nobody reads it
  bool takes_batch_norm = false;  ///< the batch norm behind it is folded into it
  bool has_bias = false;          ///< of a weighted node: its own, or one that lowering added
  double networks = 1;            ///< how often it runs: once for each sampled network

  double outputs() const { return static_cast<double>(node->shape.elements()); }
  double channels() const { return static_cast<double>(node->shape.channels()); }
  /// A factor in front of the weights vanishes in them: floats, or a table for each channel.
  bool weight_absorbs_scale() const {
    return weight.is_real() || (weight.kind == Operand::Kind::table && weight.table_per_channel);
  }
};

struct ScoredNetwork {
  const Graph* graph = nullptr;
  std::optional<UniformBits> uniform;
  std::vector<ScoredNode> nodes;  ///< all but the input, in order
  bool quantized = false;         ///< some weight or input is no float

  const Shape& input_shape(const ScoredNode& node) const {
    return graph->node(node.node->inputs.at(0)).shape;
  }
};

/// Throws as score().
ScoredNetwork scored_network(const Graph& graph, const ScoreRequest& request);

/// Fill `stored` and `computed` of the layer under one of the course's rules.
void count_course(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule,
                  ScoreLayer& layer);
/// The same under one of the micronet rules; `freebie`: floats are stored and multiplied in 16
/// bits.
void count_micronet(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule,
                    bool freebie, ScoreLayer& layer);

}  // namespace qhost::report
