#include "sdk/describe.h"

#include <charconv>
#include <string_view>
#include <utility>

namespace qhost {

std::string number_text(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string to_string(const Size2& size) {
  return std::to_string(size.height) + "x" + std::to_string(size.width);
}

namespace {

std::string short_size(const Size2& size) {
  return size.height == size.width ? std::to_string(size.height) : to_string(size);
}

std::string yes_no(bool value) {
  return value ? "true" : "false";
}

// "key value, key value" of every option.
class Attributes {
 public:
  Attributes& add(std::string_view key, const std::string& value) {
    if (!text_.empty()) text_ += ", ";
    text_ += key;
    text_ += " " + value;
    return *this;
  }
  Attributes& add(std::string_view key, std::int64_t value) {
    return add(key, std::to_string(value));
  }
  Attributes& add(std::string_view key, const Size2& value) { return add(key, to_string(value)); }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (std::int64_t dim : shape) text += (text.empty() ? "" : ",") + std::to_string(dim);
  return "[" + text + "]";
}

struct AttributeText {
  const Node& node;

  std::string operator()(const std::monostate&) const { return ""; }
  std::string operator()(const Conv2dOptions& o) const {
    return Attributes()
        .add("out_channels", o.out_channels)
        .add("kernel", o.kernel)
        .add("stride", o.stride)
        .add("padding", o.padding)
        .add("groups", o.groups)
        .add("bias", yes_no(o.bias))
        .add("init", to_string(o.init))
        .text();
  }
  std::string operator()(const LinearOptions& o) const {
    return Attributes()
        .add("out_features", o.out_features)
        .add("bias", yes_no(o.bias))
        .add("init", to_string(o.init))
        .text();
  }
  std::string operator()(const BatchNormOptions& o) const {
    return Attributes()
        .add("epsilon", number_text(o.epsilon))
        .add("momentum", number_text(o.momentum))
        .add("affine", yes_no(o.affine))
        .add("gamma_init", to_string(o.gamma_init))
        .text();
  }
  std::string operator()(const ActivationOptions& o) const {
    Attributes attributes;
    if (o.kind == Activation::leaky_relu) attributes.add("slope", number_text(o.slope));
    return attributes.text();
  }
  std::string operator()(const PoolOptions& o) const {
    return Attributes()
        .add("kernel", o.kernel)
        .add("stride", o.stride)
        .add("padding", o.padding)
        .text();
  }
  std::string operator()(const DropoutOptions& o) const {
    return Attributes().add("probability", number_text(o.probability)).text();
  }
  std::string operator()(const SubsampleOptions& o) const {
    return Attributes().add("out_channels", o.out_channels).add("stride", o.stride).text();
  }
  // The operation of a custom node is unknown here, so its tensors are listed.
  std::string operator()(const std::shared_ptr<const CustomOpBase>&) const {
    Attributes attributes;
    for (const ParameterSpec& p : node.parameters) {
      attributes.add(p.name, shape_text(p.shape) + " " + to_string(p.init) +
                                 (p.trainable ? "" : " buffer") + (p.decayed ? " decayed" : ""));
    }
    return attributes.text();
  }
};

}  // namespace

std::string operation_name(const Node& node) {
  if (const auto* activation = std::get_if<ActivationOptions>(&node.options)) {
    return to_string(activation->kind);
  }
  if (const auto* custom = std::get_if<std::shared_ptr<const CustomOpBase>>(&node.options)) {
    return (*custom)->type();
  }
  return to_string(node.op);
}

std::string describe(const Node& node) {
  std::string text = operation_name(node);
  if (const auto* conv = std::get_if<Conv2dOptions>(&node.options)) {
    text += " " + to_string(conv->kernel) + " stride " + short_size(conv->stride);
    if (conv->groups != 1) text += " groups " + std::to_string(conv->groups);
  } else if (const auto* pool = std::get_if<PoolOptions>(&node.options)) {
    text += " " + to_string(pool->kernel) + " stride " + short_size(pool->stride);
  } else if (const auto* dropout = std::get_if<DropoutOptions>(&node.options)) {
    text += " " + number_text(dropout->probability);
  } else if (const auto* subsample = std::get_if<SubsampleOptions>(&node.options)) {
    text += " stride " + short_size(subsample->stride);
  }
  return text;
}

std::string to_text(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes()) {
    text += node.name + " = " + (node.op == Op::custom ? "custom:" : "") + operation_name(node) +
            "(" + std::visit(AttributeText{node}, node.options) + ")";
    for (int source : node.inputs) text += " " + graph.node(source).name;
    text += " -> " + to_string(node.shape) + "\n";
  }
  return text + "output " + graph.output().name + "\n";
}

}  // namespace qhost
