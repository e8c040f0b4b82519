/// graph/inference_graph_names.h: the words that inference_graph_json's writer and reader share.
/// Private to graph/.
#pragma once

#include <string>
#include <vector>

#include "graph/stored_tensor.h"

namespace qhost {

inline constexpr const char* graph_format = "qhost inference graph";
inline constexpr int graph_version = 1;

/// No node's name holds a slash but those that passes make, and no parameter's does: the names of
/// two tensors' parts never meet.
inline constexpr const char* scale_suffix = "/scale";
inline constexpr const char* zero_point_suffix = "/zero_point";
inline constexpr const char* table_suffix = "/table";

const char* to_text(ScaleKind kind);
const char* to_text(ZeroPointKind kind);

/// dtype and shape of what a stored tensor with contents consists of; an empty dtype: not there.
struct StoredPart {
  std::string dtype;
  std::vector<std::int64_t> shape;
};
struct StoredParts {
  StoredPart codes, scale, zero_point, table;
};
StoredParts stored_parts(const StoredTensor& tensor);

}  // namespace qhost
