// Reading an inference graph: every key is checked, and then the graph as a whole.
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "graph/inference_graph_json.h"
#include "graph/inference_graph_names.h"
#include "graph/json_object.h"
#include "qhost/error.h"
#include "sdk/codebook_levels.h"

namespace qhost {
namespace {

using nlohmann::json;

constexpr Op every_op[] = {
    Op::input,   Op::conv2d,    Op::linear,   Op::batch_norm,   Op::activation,
    Op::add,     Op::concat,    Op::max_pool, Op::average_pool, Op::global_average_pool,
    Op::dropout, Op::subsample, Op::flatten,  Op::custom};
constexpr Activation every_activation[] = {
    Activation::relu, Activation::relu6,   Activation::leaky_relu, Activation::hardtanh,
    Activation::tanh, Activation::sigmoid, Activation::silu,       Activation::gelu};
constexpr CodeKind every_kind[] = {CodeKind::float32, CodeKind::float16, CodeKind::bfloat16,
                                   CodeKind::binary,  CodeKind::ternary, CodeKind::uniform,
                                   CodeKind::codebook};
constexpr ScaleKind every_scale[] = {ScaleKind::none, ScaleKind::tensor, ScaleKind::channel,
                                     ScaleKind::position};
constexpr ZeroPointKind every_zero_point[] = {ZeroPointKind::none, ZeroPointKind::tensor,
                                              ZeroPointKind::channel};

const char* text_of(Op op) {
  return to_string(op);
}
const char* text_of(Activation activation) {
  return to_string(activation);
}
const char* text_of(CodeKind kind) {
  return to_string(kind);
}
const char* text_of(ScaleKind kind) {
  return to_text(kind);
}
const char* text_of(ZeroPointKind kind) {
  return to_text(kind);
}
template <class Enum>
const char* text(Enum value) {
  return text_of(value);
}

Encoding read_encoding(JsonObject object) {
  Encoding e;
  e.kind = object.word("kind", every_kind, text<CodeKind>);
  e.bits = object.small_integer("bits");
  e.scale = object.word("scale", every_scale, text<ScaleKind>);
  if (e.kind == CodeKind::uniform)
    e.zero_point = object.word("zero_point", every_zero_point, text<ZeroPointKind>);
  if (e.kind == CodeKind::codebook) {
    e.codebook_per_channel = object.boolean("codebook_per_channel");
    e.levels = object.has("levels") ? object.small_integer("levels") : levels_of_bits(e.bits);
  }
  if (e.kind == CodeKind::binary) e.sign_of_zero = object.small_integer("sign_of_zero");
  if (object.has("ensemble_size")) e.ensemble_size = object.small_integer("ensemble_size");
  object.finish();
  return e;
}

NodeOptions read_options(Op op, JsonObject object) {
  const auto finished = [&](NodeOptions options) {
    object.finish();
    return options;
  };
  switch (op) {
    case Op::conv2d:
      return finished(Conv2dOptions{.out_channels = object.integer("out_channels"),
                                    .kernel = object.size("kernel"),
                                    .stride = object.size("stride"),
                                    .padding = object.size("padding"),
                                    .groups = object.integer("groups")});
    case Op::linear:
      return finished(LinearOptions{.out_features = object.integer("out_features"), .bias = false});
    case Op::batch_norm:
      return finished(
          BatchNormOptions{.epsilon = object.real("epsilon"), .affine = object.boolean("affine")});
    case Op::activation: {
      ActivationOptions options{.kind = object.word("kind", every_activation, text<Activation>)};
      if (options.kind == Activation::leaky_relu) options.slope = object.real("slope");
      return finished(options);
    }
    case Op::max_pool:
    case Op::average_pool:
      return finished(PoolOptions{.kernel = object.size("kernel"),
                                  .stride = object.size("stride"),
                                  .padding = object.size("padding")});
    case Op::dropout:
      return finished(DropoutOptions{.probability = object.real("probability")});
    case Op::subsample:
      return finished(SubsampleOptions{.out_channels = object.integer("out_channels"),
                                       .stride = object.size("stride")});
    case Op::custom:
      return finished(std::shared_ptr<const CustomOpBase>());
    default:
      return finished(std::monostate());
  }
}

class Reader {
 public:
  Reader(const json& value, const TensorBytes& tensors, const std::string& file)
      : source_{file, "the file is damaged, or no inference graph of qhost: write it anew"},
        root_(source_, "the inference graph", value),
        tensors_(tensors) {}

  InferenceGraph read() {
    if (root_.string("format") != graph_format) {
      root_.fail("has the format `" + root_.string("format") + "`, not `" + graph_format + "`");
    }
    const std::int64_t version = root_.integer("version");
    if (version != graph_version) {
      throw Error(ErrorKind::storage,
                  source_.file + ": the inference graph has version " + std::to_string(version) +
                      ", and this build reads version " + std::to_string(graph_version),
                  "read it with the qhost that wrote it, or a later one");
    }
    graph_.networks = root_.small_integer("networks");
    read_tensors();
    const json& nodes = root_.array("nodes");
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      read_node(JsonObject(source_, "nodes[" + std::to_string(i) + "]", nodes[i]));
    }
    graph_.output = index_of(root_, root_.string("output"));
    root_.finish();
    const std::string why = why_invalid(graph_);
    if (!why.empty()) root_.fail("is not sound: " + why);
    return std::move(graph_);
  }

 private:
  int index_of(const JsonObject& object, const std::string& name) const {
    const auto found = indices_.find(name);
    if (found != indices_.end()) return found->second;
    object.fail("reads the node `" + name + "`, which does not stand before it");
  }

  void read_node(JsonObject object) {
    InferenceNode node;
    node.name = object.string("name");
    node.op = object.word("op", every_op, text<Op>);
    node.shape.dims = object.integers("shape");
    const json& inputs = object.array("inputs");
    for (std::size_t e = 0; e < inputs.size(); ++e) {
      read_edge(
          JsonObject(source_, object.place() + ".inputs[" + std::to_string(e) + "]", inputs[e]),
          node);
    }
    const json none = json::object();
    node.options = read_options(
        node.op, object.has("options") ? object.object("options")
                                       : JsonObject(source_, object.place() + ".options", none));
    if (object.has("tensors")) read_names(object, node);
    node.custom_type = object.optional_string("type");
    node.method = object.optional_string("method");
    node.repeats = object.optional_string("repeats");
    node.folded_batch_norm = object.optional_string("folded_batch_norm");
    if (object.has("networks")) node.networks = object.small_integer("networks");
    object.finish();
    if (node.custom_type.empty() == (node.op == Op::custom)) {
      object.fail("is " + std::string(to_string(node.op)) + " with the type `" + node.custom_type +
                  "`");
    }
    if (auto* conv = std::get_if<Conv2dOptions>(&node.options)) {
      conv->bias = node.has_tensor("bias");
    } else if (auto* linear = std::get_if<LinearOptions>(&node.options)) {
      linear->bias = node.has_tensor("bias");
    }
    if (!indices_.emplace(node.name, static_cast<int>(graph_.nodes.size())).second) {
      object.fail("has the name `" + node.name + "` of another node");
    }
    graph_.nodes.push_back(std::move(node));
  }

  void read_edge(JsonObject object, InferenceNode& node) {
    InferenceEdge edge;
    edge.node = index_of(object, object.string("node"));
    edge.method = object.optional_string("method");
    if (object.has("encoding")) edge.encoding = read_encoding(object.object("encoding"));
    if (object.has("padding_value")) edge.padding_value = object.real("padding_value");
    object.finish();
    node.inputs.push_back(std::move(edge));
  }

  void read_names(JsonObject& node, InferenceNode& result) {
    JsonObject object = node.object("tensors");
    for (const auto& [parameter, unused] : node.at("tensors").items()) {
      const json& names = object.array(parameter.c_str());
      std::vector<std::string>& all = result.tensors[parameter];
      for (const json& name : names) {
        if (!name.is_string()) object.fail("names a tensor of `" + parameter + "` by no string");
        all.push_back(name.get<std::string>());
      }
      if (all.empty()) object.fail("names no tensor for `" + parameter + "`");
    }
  }

  void read_tensors() {
    JsonObject object = root_.object("tensors");
    std::size_t used = 0;
    for (const auto& [name, unused] : root_.at("tensors").items()) {
      JsonObject about(source_, "the tensor `" + name + "`", object.at(name.c_str()));
      StoredTensor tensor;
      tensor.shape = about.integers("shape");
      tensor.encoding = read_encoding(about.object("encoding"));
      about.finish();
      // Sizes are computed from shape and encoding only once these are known to be sound.
      const std::string why = why_invalid(tensor);
      if (!why.empty()) about.fail("is not sound: " + why);
      if (!tensors_.empty()) used += read_contents(about, name, tensor);
      graph_.tensors[name] = std::move(tensor);
    }
    if (used < tensors_.size()) fail_left_over();
  }

  /// Returns how many of the named bytes it took.
  std::size_t read_contents(const JsonObject& about, const std::string& name,
                            StoredTensor& tensor) {
    const StoredParts parts = stored_parts(tensor);
    std::size_t used = 0;
    const auto take = [&](const std::string& part, const StoredPart& wanted, auto& values) {
      if (wanted.dtype.empty()) return;
      const NamedBytes& found = named(about, part, wanted);
      const std::size_t size = sizeof(values[0]);
      values.resize(found.bytes.size() / size);
      std::memcpy(values.data(), found.bytes.data(), values.size() * size);
      taken_.insert(part);
      ++used;
    };
    take(name, parts.codes, tensor.codes);
    take(name + scale_suffix, parts.scale, tensor.scale);
    take(name + zero_point_suffix, parts.zero_point, tensor.zero_point);
    take(name + table_suffix, parts.table, tensor.table);
    return used;
  }

  const NamedBytes& named(const JsonObject& about, const std::string& name,
                          const StoredPart& wanted) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) about.fail("needs `" + name + "`, which is not in the file");
    const NamedBytes& given = found->second;
    if (given.dtype != wanted.dtype || given.shape != wanted.shape) {
      about.fail("needs `" + name + "` as " + described(wanted.dtype, wanted.shape) +
                 ", and the file has " + described(given.dtype, given.shape));
    }
    std::size_t bytes = wanted.dtype == "U8"                             ? 1
                        : wanted.dtype == "F16" || wanted.dtype == "U16" ? 2
                                                                         : 4;
    for (const std::int64_t dim : wanted.shape) bytes *= static_cast<std::size_t>(dim);
    if (given.bytes.size() != bytes) {
      about.fail("needs " + std::to_string(bytes) + " bytes of `" + name + "`, and the file has " +
                 std::to_string(given.bytes.size()));
    }
    return given;
  }

  static std::string described(const std::string& dtype, const std::vector<std::int64_t>& shape) {
    return dtype + " " + json(shape).dump();
  }

  [[noreturn]] void fail_left_over() const {
    for (const auto& [name, unused] : tensors_) {
      if (!taken_.contains(name)) root_.fail("says nothing of the tensor `" + name + "`");
    }
    root_.fail("says nothing of some tensors");
  }

  const JsonSource source_;
  JsonObject root_;
  const TensorBytes& tensors_;
  InferenceGraph graph_;
  std::map<std::string, int> indices_;
  std::set<std::string> taken_;
};

}  // namespace

InferenceGraph read_inference_graph(const json& value, const TensorBytes& tensors,
                                    const std::string& name) {
  return Reader(value, tensors, name).read();
}

}  // namespace qhost
