#include "graph/inference_graph_names.h"

namespace qhost {

const char* to_text(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::none:
      return "none";
    case ScaleKind::tensor:
      return "tensor";
    case ScaleKind::channel:
      return "channel";
    case ScaleKind::position:
      break;
  }
  return "position";
}

const char* to_text(ZeroPointKind kind) {
  switch (kind) {
    case ZeroPointKind::none:
      return "none";
    case ZeroPointKind::tensor:
      return "tensor";
    case ZeroPointKind::channel:
      break;
  }
  return "channel";
}

StoredParts stored_parts(const StoredTensor& tensor) {
  const Encoding& encoding = tensor.encoding;
  const StoredSizes sizes = stored_sizes(tensor);
  StoredParts parts;
  if (encoding.is_float()) {
    parts.codes = {.dtype = encoding.kind == CodeKind::float32   ? "F32"
                            : encoding.kind == CodeKind::float16 ? "F16"
                                                                 : "U16",
                   .shape = tensor.shape};
    if (encoding.ensemble_size > 1) {
      parts.codes.shape.insert(parts.codes.shape.begin(), encoding.ensemble_size);
    }
  } else {
    parts.codes = {.dtype = "U8", .shape = {sizes.member_bytes}};
    if (encoding.ensemble_size > 1) {
      parts.codes.shape.insert(parts.codes.shape.begin(), encoding.ensemble_size);
    }
  }
  if (sizes.scales > 0) parts.scale = {.dtype = "F32", .shape = {sizes.scales}};
  if (sizes.zero_points > 0) parts.zero_point = {.dtype = "I32", .shape = {sizes.zero_points}};
  if (sizes.table > 0) {
    parts.table = {.dtype = "F32", .shape = {encoding.levels}};
    if (encoding.codebook_per_channel) {
      parts.table.shape.insert(parts.table.shape.begin(), tensor.channels());
    }
  }
  return parts;
}

}  // namespace qhost
