// Writing an inference graph.
#include "graph/inference_graph_json.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "common/defect.h"
#include "graph/inference_graph_names.h"
#include "qhost/error.h"
#include "sdk/codebook_levels.h"

namespace qhost {
namespace {

using nlohmann::json;

json pair(const Size2& size) {
  return {size.height, size.width};
}

struct OptionsJson {
  json operator()(const std::monostate&) const { return json::object(); }
  json operator()(const Conv2dOptions& o) const {
    return {{"out_channels", o.out_channels},
            {"kernel", pair(o.kernel)},
            {"stride", pair(o.stride)},
            {"padding", pair(o.padding)},
            {"groups", o.groups}};
  }
  json operator()(const LinearOptions& o) const { return {{"out_features", o.out_features}}; }
  json operator()(const BatchNormOptions& o) const {
    return {{"epsilon", o.epsilon}, {"affine", o.affine}};
  }
  json operator()(const ActivationOptions& o) const {
    json options = {{"kind", to_string(o.kind)}};
    if (o.kind == Activation::leaky_relu) options["slope"] = o.slope;
    return options;
  }
  json operator()(const PoolOptions& o) const {
    return {{"kernel", pair(o.kernel)}, {"stride", pair(o.stride)}, {"padding", pair(o.padding)}};
  }
  json operator()(const DropoutOptions& o) const { return {{"probability", o.probability}}; }
  json operator()(const SubsampleOptions& o) const {
    return {{"out_channels", o.out_channels}, {"stride", pair(o.stride)}};
  }
  json operator()(const std::shared_ptr<const CustomOpBase>&) const { return json::object(); }
};

json edge_json(const InferenceGraph& graph, const InferenceEdge& edge) {
  json result = {{"node", graph.node(edge.node).name}};
  if (!edge.method.empty()) result["method"] = edge.method;
  if (!edge.method.empty() || edge.encoding != Encoding::float32()) {
    result["encoding"] = to_json(edge.encoding);
  }
  if (edge.padding_value != 0) result["padding_value"] = edge.padding_value;
  return result;
}

json node_json(const InferenceGraph& graph, const InferenceNode& node) {
  json result = {{"name", node.name}, {"op", to_string(node.op)}, {"shape", node.shape.dims}};
  json inputs = json::array();
  for (const InferenceEdge& edge : node.inputs) inputs.push_back(edge_json(graph, edge));
  result["inputs"] = std::move(inputs);
  if (json options = std::visit(OptionsJson{}, node.options); !options.empty()) {
    result["options"] = std::move(options);
  }
  if (!node.tensors.empty()) result["tensors"] = node.tensors;
  if (!node.custom_type.empty()) result["type"] = node.custom_type;
  if (!node.method.empty()) result["method"] = node.method;
  if (!node.repeats.empty()) result["repeats"] = node.repeats;
  if (!node.folded_batch_norm.empty()) result["folded_batch_norm"] = node.folded_batch_norm;
  if (node.networks != 1) result["networks"] = node.networks;
  return result;
}

template <class Value>
NamedBytes bytes_of(const char* dtype, std::vector<std::int64_t> shape,
                    const std::vector<Value>& values) {
  NamedBytes result{.dtype = dtype, .shape = std::move(shape)};
  result.bytes.resize(values.size() * sizeof(Value));
  std::memcpy(result.bytes.data(), values.data(), result.bytes.size());
  return result;
}

void add_parts(const std::string& name, const StoredTensor& tensor, TensorBytes& all) {
  const StoredParts parts = stored_parts(tensor);
  all[name] = {.dtype = parts.codes.dtype, .shape = parts.codes.shape, .bytes = tensor.codes};
  if (!tensor.scale.empty()) {
    all[name + scale_suffix] = bytes_of("F32", parts.scale.shape, tensor.scale);
  }
  if (!tensor.zero_point.empty()) {
    all[name + zero_point_suffix] = bytes_of("I32", parts.zero_point.shape, tensor.zero_point);
  }
  if (!tensor.table.empty()) {
    all[name + table_suffix] = bytes_of("F32", parts.table.shape, tensor.table);
  }
}

void require_sound(const InferenceGraph& graph) {
  const std::string why = why_invalid(graph);
  if (why.empty()) return;
  throw defect("an inference graph cannot be written: " + why);
}

}  // namespace

json to_json(const Encoding& e) {
  json result = {{"kind", to_string(e.kind)}, {"bits", e.bits}, {"scale", to_text(e.scale)}};
  if (e.kind == CodeKind::uniform) result["zero_point"] = to_text(e.zero_point);
  if (e.kind == CodeKind::codebook) {
    result["codebook_per_channel"] = e.codebook_per_channel;
    if (tells_levels(e)) result["levels"] = e.levels;
  }
  if (e.kind == CodeKind::binary) result["sign_of_zero"] = e.sign_of_zero;
  if (e.ensemble_size != 1) result["ensemble_size"] = e.ensemble_size;
  return result;
}

json to_json(const InferenceGraph& graph) {
  require_sound(graph);
  json nodes = json::array();
  for (const InferenceNode& node : graph.nodes) nodes.push_back(node_json(graph, node));
  json tensors = json::object();
  for (const auto& [name, tensor] : graph.tensors) {
    tensors[name] = {{"shape", tensor.shape}, {"encoding", to_json(tensor.encoding)}};
  }
  return {{"format", graph_format},     {"version", graph_version},
          {"networks", graph.networks}, {"output", graph.node(graph.output).name},
          {"nodes", std::move(nodes)},  {"tensors", std::move(tensors)}};
}

TensorBytes tensor_bytes(const InferenceGraph& graph) {
  require_sound(graph);
  TensorBytes all;
  for (const auto& [name, tensor] : graph.tensors) {
    if (tensor.has_contents()) add_parts(name, tensor, all);
  }
  return all;
}

}  // namespace qhost
