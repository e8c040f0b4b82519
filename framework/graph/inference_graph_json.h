/// graph/inference_graph_json.h: an inference graph as JSON beside named tensors, and back.
///
/// The JSON has the structure, the tensors have the bytes, each under a name that the JSON gives:
/// what a container of named tensors such as safetensors takes as it is. docs/inference_graph.md
/// has every key. A graph of structure only has the same JSON, and no tensors.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/inference_graph.h"

namespace qhost {

/// One part of a stored tensor, with the dtype names of safetensors:
///   NAME               F32, F16: the values, in the logical shape; U16: bfloat16's bit patterns;
///                      U8: packed codes, [bytes], or [members, bytes of one]
///   NAME/scale         F32 [1] or [channels]
///   NAME/zero_point    I32 [1] or [channels], half steps
///   NAME/table         F32 [levels] or [channels, levels]
struct NamedBytes {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;  ///< row-major, little-endian

  bool operator==(const NamedBytes&) const = default;
};
using TensorBytes = std::map<std::string, NamedBytes>;

/// Throws Error (internal) unless the graph is sound (why_invalid).
nlohmann::json to_json(const InferenceGraph& graph);
TensorBytes tensor_bytes(const InferenceGraph& graph);

/// The graph that to_json() and tensor_bytes() wrote. Throws Error (storage) with `name`, what is
/// wrong where, and both values: a key that is missing, unknown or of another type, a version that
/// this build does not know, a tensor that is missing, left over or of another type or size, and
/// all that why_invalid() refuses. Without tensors the graph has its structure only.
InferenceGraph read_inference_graph(const nlohmann::json& json, const TensorBytes& tensors,
                                    const std::string& name);

/// {"kind": "binary", "bits": 1, "scale": "channel", ...}
nlohmann::json to_json(const Encoding& encoding);

}  // namespace qhost
