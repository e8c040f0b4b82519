// Whether an inference graph is sound: what a reader of files relies on.
#include <set>

#include "graph/inference_graph.h"
#include "sdk/describe.h"

namespace qhost {
namespace {

/// Bounds within which every number computed here stays far inside 64 bits.
constexpr std::int64_t largest_dimension = std::int64_t{1} << 24;
constexpr std::int64_t most_values = (std::int64_t{1} << 31) - 1;
constexpr int most_networks = 1 << 16;

/// One sentence about the first fault; "" as long as there is none.
class Check {
 public:
  explicit Check(const InferenceGraph& graph) : graph_(graph) {}

  std::string result() {
    if (graph_.networks < 1 || graph_.networks > most_networks) {
      return "it has " + std::to_string(graph_.networks) + " networks, not 1 to " +
             std::to_string(most_networks);
    }
    if (graph_.nodes.empty()) return "it has no nodes";
    for (const auto& [name, tensor] : graph_.tensors) {
      const std::string why = why_invalid(tensor);
      if (!why.empty()) return "the tensor `" + name + "`: " + why;
    }
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      index_ = static_cast<int>(i);
      node_ = &graph_.nodes[i];
      check_node();
      if (!why_.empty()) return "the node `" + node_->name + "`: " + why_;
    }
    if (graph_.output < 0 || graph_.output >= static_cast<int>(graph_.nodes.size())) {
      return "its output is node " + std::to_string(graph_.output) + " of " +
             std::to_string(graph_.nodes.size());
    }
    if (!graph_.node(graph_.output).shape.is_features()) {
      return "its output `" + graph_.node(graph_.output).name + "` has the shape " +
             to_string(graph_.node(graph_.output).shape) + ", not one value for each class";
    }
    for (const auto& [name, unused] : graph_.tensors) {
      if (!named_.contains(name)) return "no node names the tensor `" + name + "`";
    }
    return "";
  }

 private:
  void fail(const std::string& sentence) {
    if (why_.empty()) why_ = sentence;
  }
  void require(bool condition, const std::string& sentence) {
    if (!condition) fail(sentence);
  }

  void check_node() {
    require(!node_->name.empty(), "it has no name");
    require(names_.insert(node_->name).second, "another node has its name");
    require((node_->op == Op::input) == (index_ == 0),
            "the first node is the input, and no other is");
    require(node_->networks >= 1 && node_->networks <= most_networks,
            "it runs " + std::to_string(node_->networks) + " times, not 1 to " +
                std::to_string(most_networks));
    require(!node_->folds_batch_norm, "fold_batch_norm was not carried out on it");
    require(!node_->corrects_bias, "add_correction_bias was not carried out on it");
    require(node_->shape.is_image() || node_->shape.is_features(),
            "its shape " + to_string(node_->shape) + " is neither an image nor features");
    for (const std::int64_t dim : node_->shape.dims) {
      require(dim >= 1 && dim <= largest_dimension, "its shape " + to_string(node_->shape) +
                                                        " has a dimension outside of 1.." +
                                                        std::to_string(largest_dimension));
    }
    if (!why_.empty()) return;
    std::int64_t values = 1;
    for (const std::int64_t dim : node_->shape.dims) {
      if (dim > most_values / values) {
        return fail("its shape " + to_string(node_->shape) + " has more than 2^31 - 1 values");
      }
      values *= dim;
    }
    for (const InferenceEdge& edge : node_->inputs) check_edge(edge);
    if (!why_.empty()) return;
    check_options();
    check_inputs();
    check_tensors();
    if (!why_.empty()) return;
    check_shape();
    check_parameters();
  }

  void check_edge(const InferenceEdge& edge) {
    if (edge.node < 0 || edge.node >= index_) {
      return fail("it reads node " + std::to_string(edge.node) +
                  ", and a node reads earlier ones only (it is node " + std::to_string(index_) +
                  ")");
    }
    require(!edge.elision, "bypass_relu was not carried out on it");
    const std::string why = why_invalid(edge.encoding);
    require(why.empty(), "the encoding of an input is inconsistent: " + why);
  }

  template <class Options>
  void require_options() {
    require(std::holds_alternative<Options>(node_->options),
            "its options are of another operation");
  }

  void check_options() {
    switch (node_->op) {
      case Op::conv2d:
        return require_options<Conv2dOptions>();
      case Op::linear:
        return require_options<LinearOptions>();
      case Op::batch_norm:
        return require_options<BatchNormOptions>();
      case Op::activation:
        return require_options<ActivationOptions>();
      case Op::max_pool:
      case Op::average_pool:
        return require_options<PoolOptions>();
      case Op::dropout:
        return require_options<DropoutOptions>();
      case Op::subsample:
        return require_options<SubsampleOptions>();
      case Op::custom:
        require_options<std::shared_ptr<const CustomOpBase>>();
        return require(!node_->custom_type.empty(), "a custom node without a type");
      case Op::input:
      case Op::add:
      case Op::concat:
      case Op::global_average_pool:
      case Op::flatten:
        return require_options<std::monostate>();
    }
    fail("its operation is unknown");
  }

  void check_inputs() {
    const std::size_t count = node_->inputs.size();
    std::size_t least = 1, most = 1;
    if (node_->op == Op::input) least = most = 0;
    if (node_->op == Op::add) least = most = 2;
    if (node_->op == Op::concat || node_->op == Op::custom) most = std::size_t{1} << 16;
    require(count >= least && count <= most, std::string("it has ") + std::to_string(count) +
                                                 " inputs, which no " + to_string(node_->op) +
                                                 " has");
  }

  void check_tensors() {
    for (const auto& [parameter, names] : node_->tensors) {
      require(names.size() == 1 || names.size() == static_cast<std::size_t>(graph_.networks),
              "it names " + std::to_string(names.size()) + " tensors for its " + parameter +
                  ", and there are " + std::to_string(graph_.networks) + " networks");
      for (const std::string& name : names) {
        named_.insert(name);
        require(graph_.tensors.contains(name),
                "it names the tensor `" + name + "`, which is not there");
      }
    }
  }

  const Shape& input(std::size_t edge = 0) const {
    return graph_.node(node_->inputs[edge].node).shape;
  }

  void require_size(const Size2& size, std::int64_t lowest, const char* what) {
    require(size.height >= lowest && size.width >= lowest && size.height <= largest_dimension &&
                size.width <= largest_dimension,
            std::string("its ") + what + " is " + to_string(size));
  }

  void require_image() {
    require(input().is_image(), "it reads " + to_string(input()) + ", which is no image");
  }

  void require_shape(const Shape& wanted) {
    require(node_->shape == wanted, "its shape is " + to_string(node_->shape) + ", and what it " +
                                        "reads makes " + to_string(wanted));
  }

  static std::int64_t steps(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                            std::int64_t padding) {
    const std::int64_t room = size + 2 * padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
  }

  void require_window(std::int64_t channels, const Size2& kernel, const Size2& stride,
                      const Size2& padding) {
    require_image();
    require_size(kernel, 1, "kernel");
    require_size(stride, 1, "stride");
    require_size(padding, 0, "padding");
    if (!why_.empty()) return;
    require_shape({{channels, steps(input().height(), kernel.height, stride.height, padding.height),
                    steps(input().width(), kernel.width, stride.width, padding.width)}});
  }

  void check_shape() {
    switch (node_->op) {
      case Op::conv2d: {
        const auto& options = node_->as<Conv2dOptions>();
        require_image();
        require(options.out_channels >= 1 && options.groups >= 1 &&
                    options.out_channels % options.groups == 0,
                "its " + std::to_string(options.out_channels) + " output channels make no " +
                    std::to_string(options.groups) + " groups");
        if (!why_.empty()) return;
        require(input().channels() % options.groups == 0,
                "its " + std::to_string(input().channels()) + " input channels make no " +
                    std::to_string(options.groups) + " groups");
        return require_window(options.out_channels, options.kernel, options.stride,
                              options.padding);
      }
      case Op::linear:
        require(input().is_features(), "it reads " + to_string(input()) + ", no features");
        return require_shape({{node_->as<LinearOptions>().out_features}});
      case Op::max_pool:
      case Op::average_pool: {
        const auto& options = node_->as<PoolOptions>();
        return require_window(input().channels(), options.kernel, options.stride, options.padding);
      }
      case Op::global_average_pool:
        require_image();
        return require_shape({{input().channels()}});
      case Op::subsample: {
        const auto& options = node_->as<SubsampleOptions>();
        require_image();
        require_size(options.stride, 1, "stride");
        require(options.out_channels >= input().channels(), "it drops channels");
        if (!why_.empty()) return;
        return require_shape(
            {{options.out_channels, (input().height() - 1) / options.stride.height + 1,
              (input().width() - 1) / options.stride.width + 1}});
      }
      case Op::flatten:
        return require_shape({{input().elements()}});
      case Op::add:
        require(input(0) == input(1),
                "it adds " + to_string(input(0)) + " and " + to_string(input(1)));
        return require_shape(input());
      case Op::concat:
        return check_concat();
      case Op::batch_norm:
      case Op::activation:
      case Op::dropout:
        return require_shape(input());
      case Op::input:
      case Op::custom:
        return;
    }
  }

  void check_concat() {
    Shape wanted = input();
    wanted.dims[0] = 0;
    for (std::size_t e = 0; e < node_->inputs.size(); ++e) {
      Shape rest = input(e);
      wanted.dims[0] += rest.dims[0];
      rest.dims[0] = wanted.dims[0];
      require(rest == wanted, "it joins " + to_string(input(0)) + " and " + to_string(input(e)));
    }
    require_shape(wanted);
  }

  /// Each parameter of the node, once: with this shape.
  void require_parameter(const std::string& parameter, const std::vector<std::int64_t>& shape,
                         bool optional) {
    ++expected_;
    const auto names = node_->tensors.find(parameter);
    if (names == node_->tensors.end()) {
      if (optional) --expected_;
      return require(optional, "it has no " + parameter);
    }
    for (const std::string& name : names->second) {
      const StoredTensor& tensor = graph_.tensors.at(name);
      require(tensor.shape == shape, "its " + parameter + " `" + name + "` has the shape " +
                                         to_string(Shape{tensor.shape}) + ", not " +
                                         to_string(Shape{shape}));
      require(parameter == "weight" && node_->has_weight() ? true
                                                           : tensor.encoding == Encoding::float32(),
              "its " + parameter + " `" + name + "` is " + to_string(tensor.encoding) +
                  ", not float32");
    }
  }

  void check_parameters() {
    expected_ = 0;
    const std::vector<std::int64_t> channels = {node_->shape.channels()};
    switch (node_->op) {
      case Op::conv2d: {
        const auto& options = node_->as<Conv2dOptions>();
        require_parameter("weight",
                          {options.out_channels, input().channels() / options.groups,
                           options.kernel.height, options.kernel.width},
                          false);
        require_parameter("bias", channels, true);
        break;
      }
      case Op::linear:
        require_parameter("weight", {node_->shape.channels(), input().channels()}, false);
        require_parameter("bias", channels, true);
        break;
      case Op::batch_norm: {
        const bool affine = node_->as<BatchNormOptions>().affine;
        if (affine) require_parameter("weight", channels, false);
        if (affine) require_parameter("bias", channels, false);
        require_parameter("running_mean", channels, false);
        require_parameter("running_var", channels, false);
        break;
      }
      case Op::custom:
        return;
      default:
        break;
    }
    require(node_->tensors.size() == expected_,
            "it names tensors that no " + std::string(to_string(node_->op)) + " has");
  }

  const InferenceGraph& graph_;
  const InferenceNode* node_ = nullptr;
  int index_ = 0;
  std::size_t expected_ = 0;
  std::set<std::string> names_, named_;
  std::string why_;
};

}  // namespace

std::string why_invalid(const InferenceGraph& graph) {
  return Check(graph).result();
}

}  // namespace qhost
