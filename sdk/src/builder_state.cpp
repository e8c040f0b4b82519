#include "sdk/builder_state.h"

#include <algorithm>

#include "sdk/describe.h"
#include "sdk/live_builders.h"

namespace qhost {

bool is_node_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool GraphBuilder::Implementation::owns(const Value& value) const {
  return value.builder_ == &builder && value.id_ >= 0 &&
         static_cast<std::size_t>(value.id_) < nodes.size();
}

std::string GraphBuilder::Implementation::describe_foreign(const Value& value) {
  if (value.builder_ == nullptr) return "an empty Value that no builder call made";
  return with_live_builder(value.builder_, [&value](const GraphBuilder* other) -> std::string {
    if (other == nullptr || !other->implementation_->owns(value)) {
      return "a Value of another GraphBuilder that no longer exists";
    }
    const Node& node = other->implementation_->nodes[static_cast<std::size_t>(value.id_)];
    return "the Value `" + node.name + "` of another GraphBuilder (" + describe(node) + " -> " +
           to_string(node.shape) + ", " + node.file + ":" + std::to_string(node.line) + ")";
  });
}

Value GraphBuilder::Implementation::commit(Draft&& draft) {
  draft.require_sizes();
  const int id = static_cast<int>(nodes.size());
  draft.node.id = id;
  ids.emplace(draft.node.name, id);
  nodes.push_back(std::move(draft.node));
  return Value(&builder, id);
}

GraphBuilder::Implementation::Draft::Draft(Implementation& state, Op op, std::string_view name,
                                           const std::vector<Input>& inputs, Where where,
                                           std::string operation)
    : state_(state), operation_(operation.empty() ? to_string(op) : std::move(operation)) {
  node.op = op;
  node.name = state.prefix + std::string(name);
  node.file = where.file_name();
  node.line = static_cast<int>(where.line());
  node.column = static_cast<int>(where.column());
  check_inputs(inputs);
  check_state();
  check_name(name);
  check_unique();
}

void GraphBuilder::Implementation::Draft::check_inputs(const std::vector<Input>& inputs) {
  const Input* wrong = nullptr;
  for (const Input& input : inputs) {
    labels_.push_back(input.label);
    if (state_.owns(input.value)) {
      const Node& source = state_.nodes[static_cast<std::size_t>(input.value.id())];
      nodes_.push_back(&source);
      operands_.push_back({input.label, &source, ""});
      node.inputs.push_back(source.id);
    } else {
      operands_.push_back({input.label, nullptr, describe_foreign(input.value)});
      if (wrong == nullptr) wrong = &input;
    }
  }
  if (wrong != nullptr) {
    fail(wrong->label + " is " + describe_foreign(wrong->value),
         "pass a Value that a call of this same builder returned");
  }
}

void GraphBuilder::Implementation::Draft::check_state() const {
  if (state_.finished) {
    fail("the graph was finished before, at " + std::string(state_.finished->file_name()) + ":" +
             std::to_string(state_.finished->line()),
         "add every node before finish(); a second network needs a GraphBuilder of its own");
  }
  if (node.op != Op::input && state_.nodes.empty()) {
    fail("the network has no input yet", "call input() first");
  }
}

void GraphBuilder::Implementation::Draft::check_name(std::string_view name) const {
  require(
      is_node_name(name),
      "`" + std::string(name) + "` is not a name: a name is letters, digits and underscores",
      "dots come from scopes (auto s = g.scope(\"stage1\")), and `/` is reserved for nodes that "
      "the host inserts");
}

void GraphBuilder::Implementation::Draft::check_unique() const {
  const auto found = state_.ids.find(node.name);
  if (found == state_.ids.end()) return;
  fail("the name is taken", "give each node its own name, or each block its own scope",
       {"first", &state_.nodes[static_cast<std::size_t>(found->second)], ""});
}

void GraphBuilder::Implementation::Draft::fail(const std::string& sentence,
                                               const std::string& help) const {
  throw node_error(place_of(node), node.name, operation_, sentence, operands_, help);
}

void GraphBuilder::Implementation::Draft::fail(const std::string& sentence, const std::string& help,
                                               const Operand& also) const {
  std::vector<Operand> operands = operands_;
  operands.push_back(also);
  throw node_error(place_of(node), node.name, operation_, sentence, operands, help);
}

void GraphBuilder::Implementation::Draft::require_between(const std::string& what,
                                                          std::int64_t value, std::int64_t lowest,
                                                          std::int64_t highest) const {
  const std::string number = std::to_string(value);
  require(value >= lowest, what + " is " + number + ", below the minimum " + std::to_string(lowest),
          "set " + what + " to " + std::to_string(lowest) + " or more");
  require(value <= highest, what + " is " + number + ", above the limit " + std::to_string(highest),
          "set " + what + " to " + std::to_string(highest) + " or less");
}

void GraphBuilder::Implementation::Draft::require_between(const std::string& what,
                                                          const Size2& value, std::int64_t lowest,
                                                          std::int64_t highest) const {
  if (value.height == value.width) return require_between(what, value.height, lowest, highest);
  require_between(what + " height", value.height, lowest, highest);
  require_between(what + " width", value.width, lowest, highest);
}

void GraphBuilder::Implementation::Draft::require_image(const std::string& help) const {
  require(input().is_image(),
          "needs an image {C,H,W}, but " + label(0) + " is " + to_string(input()), help);
}

namespace {

// The product, or more than largest_tensor if it does not fit.
std::int64_t bounded_product(const std::vector<std::int64_t>& dims) {
  std::int64_t product = 1;
  for (std::int64_t dim : dims) {
    if (dim > largest_tensor || product > largest_tensor) return largest_tensor + 1;
    product *= dim;  // both below 2^31: no overflow
  }
  return product;
}

}  // namespace

void GraphBuilder::Implementation::Draft::require_sizes() const {
  const std::string limit = ", above the limit of " + std::to_string(largest_tensor) + " values";
  require(bounded_product(node.shape.dims) <= largest_tensor,
          "the output would be " + to_string(node.shape) + limit, "use fewer or smaller channels");
  for (const ParameterSpec& parameter : node.parameters) {
    std::string shape;
    for (std::int64_t dim : parameter.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(dim);
    }
    require(bounded_product(parameter.shape) <= largest_tensor,
            "the " + parameter.name + " would be [" + shape + "]" + limit,
            "use fewer or smaller channels");
  }
}

std::vector<Shape> GraphBuilder::Implementation::Draft::input_shapes() const {
  std::vector<Shape> shapes;
  for (const Node* source : nodes_) shapes.push_back(source->shape);
  return shapes;
}

bool window_fits(const Shape& input, const Size2& kernel, const Size2& padding) {
  return kernel.height <= input.height() + 2 * padding.height &&
         kernel.width <= input.width() + 2 * padding.width;
}

std::string window_misfit(const Shape& input, const Size2& kernel, const Size2& padding) {
  const Size2 padded(input.height() + 2 * padding.height, input.width() + 2 * padding.width);
  return "the kernel " + to_string(kernel) + " is larger than the padded input " +
         to_string(padded);
}

Size2 window_output(const Shape& input, const Size2& kernel, const Size2& stride,
                    const Size2& padding) {
  return {(input.height() + 2 * padding.height - kernel.height) / stride.height + 1,
          (input.width() + 2 * padding.width - kernel.width) / stride.width + 1};
}

}  // namespace qhost
