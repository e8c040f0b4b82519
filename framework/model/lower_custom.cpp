#include "model/lower_custom.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "model/plugin_call.h"
#include "qhost/custom.h"
#include "qhost/error.h"

namespace qhost {
namespace {

using OpPointer = std::shared_ptr<const CustomOpBase>;

/// Stands for an input behind the first: a builder has one.
class OtherInput : public CustomOpBase {
 public:
  explicit OtherInput(Shape shape) : shape_(std::move(shape)) {}
  std::string type() const override { return "other_input"; }
  Shape infer(const std::vector<Shape>&) const override { return shape_; }

 private:
  Shape shape_;
};

at::Tensor tensor_of(const StoredTensor& stored) {
  return at::tensor(float_values(stored)).reshape(stored.shape);
}

/// One custom node, and the network that its author built in its place.
class Replacement {
 public:
  Replacement(const InferenceGraph& graph, const InferenceNode& node) : node_(node) {
    const auto* op =
        node.op == Op::custom ? dynamic_cast<const CustomOp*>(node.as<OpPointer>().get()) : nullptr;
    if (op == nullptr) return;
    std::vector<Shape> shapes;
    for (const InferenceEdge& edge : node.inputs) shapes.push_back(graph.node(edge.node).shape);
    std::vector<at::Tensor> parameters;
    const auto call_of = [&](const char* function) {
      return PluginCall{
          .plugin = "", .kind = "custom node", .component = node.name, .function = function};
    };
    for (const ParameterSpec& spec :
         call_plugin(call_of("parameters"), [&] { return op->parameters(shapes); })) {
      const StoredTensor* stored = graph.tensor(node, spec.name);
      require(stored != nullptr, "parameters() names `" + spec.name + "` now, and did not before");
      parameters.push_back(tensor_of(*stored));
    }
    GraphBuilder builder;
    std::vector<Value> inputs = {builder.input(shapes.at(0))};
    for (std::size_t i = 1; i < shapes.size(); ++i) {
      inputs.push_back(builder.custom("other_input" + std::to_string(i), {inputs[0]},
                                      std::make_shared<const OtherInput>(shapes[i])));
    }
    std::optional<CustomLowering> lowering =
        call_plugin(call_of("lower"), [&] { return op->lower(builder, inputs, parameters); });
    if (!lowering) return;
    tensors_ = std::move(lowering->tensors);
    output_ = lowering->output.id();
    require(builder.shape(lowering->output) == node.shape,
            "its output is " + to_string(builder.shape(lowering->output)) + ", not " +
                to_string(node.shape));
    // A graph ends with features.
    Value last = lowering->output;
    if (node.shape.is_image()) last = builder.flatten("flattened", last);
    built_ = builder.finish(last, node.shape.elements());
  }

  bool exists() const { return built_.has_value(); }

  /// Adds the nodes to `graph`; `inputs` are its nodes that the custom node reads. Returns the node
  /// with the output.
  int add_to(InferenceGraph& graph, const std::vector<int>& inputs) {
    std::vector<int> where;  // by node of what was built
    std::size_t next_input = 0;
    for (const Node& each : built_->nodes()) {
      const bool is_input = each.op == Op::input ||
                            (each.op == Op::custom && dynamic_cast<const OtherInput*>(
                                                          each.as<OpPointer>().get()) != nullptr);
      if (is_input) {
        where.push_back(inputs.at(next_input++));
      } else if (each.name == "flattened" && each.id > output_) {
        break;
      } else {
        where.push_back(static_cast<int>(graph.nodes.size()));
        graph.nodes.push_back(lowered(graph, each, where));
      }
    }
    for (const auto& [name, unused] : tensors_) {
      fail("it gives the tensor `" + name + "`, which no node that it built has");
    }
    return where.at(static_cast<std::size_t>(output_));
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorKind::plugin, "custom node `" + node_.name + "`: lower() does not fit: " + why,
                "see CustomOp::lower in qhost/custom.h");
  }
  void require(bool condition, const std::string& why) const {
    if (!condition) fail(why);
  }

  InferenceNode lowered(InferenceGraph& graph, const Node& each, const std::vector<int>& where) {
    require(each.op != Op::custom, "it builds the custom node `" + each.name + "`");
    InferenceNode node{.name = each.id == output_ ? node_.name : node_.name + "/" + each.name,
                       .op = each.op,
                       .options = each.options,
                       .shape = each.shape};
    for (const int input : each.inputs) {
      node.inputs.push_back({.node = where.at(static_cast<std::size_t>(input))});
    }
    for (const ParameterSpec& spec : each.parameters) {
      const std::string name = node.name + "." + spec.name;
      node.tensors[spec.name] = {name};
      graph.tensors[name] = taken(each.name + "." + spec.name, spec.shape);
    }
    return node;
  }

  StoredTensor taken(const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto found = tensors_.find(name);
    require(found != tensors_.end(), "it gives no tensor `" + name + "`");
    require(found->second.defined(), "its tensor `" + name + "` is undefined");
    const at::Tensor values = found->second.detach().to(at::kCPU, at::kFloat).contiguous();
    require(values.sizes() == at::IntArrayRef(shape),
            "its tensor `" + name + "` has another shape");
    tensors_.erase(found);
    return float_tensor(shape,
                        {values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  }

  const InferenceNode& node_;
  std::optional<Graph> built_;
  std::map<std::string, at::Tensor> tensors_;
  int output_ = -1;
};

}  // namespace

InferenceGraph lower_custom_nodes(const InferenceGraph& graph) {
  InferenceGraph result{.networks = graph.networks, .tensors = graph.tensors};
  std::vector<int> where;  // by node of `graph`
  for (const InferenceNode& node : graph.nodes) {
    std::vector<int> inputs;
    for (const InferenceEdge& edge : node.inputs) {
      inputs.push_back(where.at(static_cast<std::size_t>(edge.node)));
    }
    Replacement replacement(graph, node);
    if (replacement.exists()) {
      for (const auto& [unused, names] : node.tensors) {
        for (const std::string& name : names) result.tensors.erase(name);
      }
      where.push_back(replacement.add_to(result, inputs));
      continue;
    }
    InferenceNode kept = node;
    for (std::size_t e = 0; e < inputs.size(); ++e) kept.inputs[e].node = inputs[e];
    where.push_back(static_cast<int>(result.nodes.size()));
    result.nodes.push_back(std::move(kept));
  }
  result.output = where.at(static_cast<std::size_t>(graph.output));
  return result;
}

}  // namespace qhost
