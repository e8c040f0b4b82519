/// report/summary.h: what a network consists of and what it weighs under its quantizers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lowering/layer_plan.h"
#include "qhost/encoding.h"
#include "qhost/graph.h"
#include "report/document.h"

namespace qhost::report {

struct SummaryLayer {
  std::string name;
  std::string op;      ///< to_string(Op)
  std::string detail;  ///< "conv2d 3x3 stride 1", "relu"
  Shape output;
  std::int64_t parameters = 0;  ///< trainable values
  std::int64_t buffers = 0;
  std::int64_t macs = 0;
  std::int64_t activation_bytes = 0;  ///< float32, one sample
  std::optional<Encoding> weight;     ///< conv2d, linear: float32 unless planned; else empty
  std::optional<Encoding> input;      ///< conv2d, linear, and what a rule quantizes; else empty
  std::string weight_method, input_method;
  std::string elision_note, note;  ///< as in LayerPlan
  /// A correction adds a bias to a node that has neither one nor a batch norm to take it.
  bool added_bias = false;
  std::int64_t weight_bytes = 0;  ///< stored_bytes of the weight's encoding; conv2d, linear only
  std::int64_t float_weight_bytes = 0;  ///< the same weight as float32
  /// weight_bytes + 4 for every other parameter and buffer value, and for each of an added bias
  std::int64_t bytes = 0;
  std::int64_t float_bytes = 0;  ///< 4 for every parameter and buffer value
};

struct Summary {
  std::vector<SummaryLayer> layers;  ///< every node but the input, in order
  Shape input;
  std::int64_t parameters = 0, buffers = 0, macs = 0;
  std::int64_t weight_bytes = 0;        ///< of all conv2d and linear weights
  std::int64_t float_weight_bytes = 0;  ///< the same weights as float32
  std::int64_t bytes = 0, float_bytes = 0;
  /// Of a run: all tensors of its packed file.
  std::optional<std::int64_t> file_bytes;
  std::int64_t activation_bytes = 0, peak_activation_bytes = 0;
  int quantized_weights = 0, quantized_inputs = 0;  ///< nodes with a non-float32 encoding
  /// Mean of Encoding::bits_per_weight() over all conv2d and linear weights; 0 without any.
  double bits_per_weight = 0;
  /// Mean of the bits of the values that conv2d and linear layers read, of one sample: float32 is
  /// 32, and each value counts once for every layer that reads it; 0 without any.
  double bits_per_input = 0;
};

/// Throws Error: kind internal for a plan of a node that is not in the graph, or of a weight on a
/// node without one; kind configuration for an inconsistent encoding (why_invalid).
Summary summarize(const Graph& graph, const LayerPlans& by_node = {});

struct SummaryOptions {
  /// The text has also the nodes without parameters, MACs, quantizer or note.
  bool every_node = false;
};
/// Text: the table (layer, operation, output shape, parameters, MACs, weight encoding, input
/// encoding, bits, bytes), its totals, and a line per note.
/// JSON: {parameters, macs, weight_bytes, file_bytes (of a run), layers: [{name, op, output_shape, parameters, macs,
/// weight_encoding, weight_bits, input_encoding, bytes, ...}], ...}; an encoding that a node does
/// not have is null.
Document document_of(const Summary& summary, const SummaryOptions& options = {});

}  // namespace qhost::report
