// Operations on several inputs: add, concat, custom.
#include <set>
#include <stdexcept>

#include "sdk/builder_state.h"
#include "sdk/describe.h"

namespace qhost {
namespace {

const char* rank_name(const Shape& shape) {
  return shape.is_image() ? "an image" : "features";
}

// "channels: 64 and 32, height: 16 and 8", for the dimensions that differ.
std::string differences(const Shape& a, const Shape& b, std::size_t first_dimension) {
  static const char* const names[] = {"channels", "height", "width"};
  std::string text;
  for (std::size_t i = first_dimension; i < a.dims.size(); ++i) {
    if (a.dims[i] == b.dims[i]) continue;
    text += std::string(text.empty() ? "" : ", ") + (a.is_image() ? names[i] : "features") + ": " +
            std::to_string(a.dims[i]) + " and " + std::to_string(b.dims[i]);
  }
  return text;
}

// How to make b fit a.
std::string help_to_add(const Shape& a, const Shape& b) {
  if (a.is_image() != b.is_image()) return "flatten the image, or add it before it is pooled";
  if (a.is_features()) return "add features of equal length";
  const std::string channels = std::to_string(a.channels());
  if (a.height() == b.height() && a.width() == b.width()) {
    return "the shortcut needs a 1x1 convolution to " + channels + " channels";
  }
  if (a.channels() != b.channels()) {
    return "the shortcut needs a 1x1 convolution to " + channels +
           " channels with the strides of the other branch";
  }
  return "give both branches the same strides and paddings";
}

}  // namespace

Value GraphBuilder::add(std::string_view name, Value a, Value b, Where where) {
  Implementation::Draft draft(*implementation_, Op::add, name, {{"a", a}, {"b", b}}, where);
  const Shape& left = draft.input(0);
  const Shape& right = draft.input(1);
  draft.require(left.is_image() == right.is_image(),
                std::string("a is ") + rank_name(left) + " and b is " + rank_name(right) + ": " +
                    to_string(left) + " and " + to_string(right),
                help_to_add(left, right));
  draft.require(left == right, "shapes differ in " + differences(left, right, 0),
                help_to_add(left, right));
  draft.node.shape = left;
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::concat(std::string_view name, const std::vector<Value>& xs, Where where) {
  std::vector<Implementation::Draft::Input> inputs;
  for (const Value& x : xs) inputs.push_back({"xs[" + std::to_string(inputs.size()) + "]", x});
  Implementation::Draft draft(*implementation_, Op::concat, name, inputs, where);
  draft.require(!xs.empty(), "there is nothing to concatenate", "pass one Value or more");
  const Shape& first = draft.input(0);
  std::int64_t channels = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const Shape& shape = draft.input(i);
    draft.require(shape.is_image() == first.is_image(),
                  "xs[0] is " + std::string(rank_name(first)) + " and " + draft.label(i) + " is " +
                      rank_name(shape) + ": " + to_string(first) + " and " + to_string(shape),
                  "concatenate images with images, features with features");
    const std::string different = differences(first, shape, 1);
    draft.require(different.empty(), "xs[0] and " + draft.label(i) + " differ in " + different,
                  "concatenation is along the channels: give all branches the same strides and "
                  "paddings");
    channels += shape.channels();
  }
  draft.node.shape = first;
  draft.node.shape.dims[0] = channels;
  return implementation_->commit(std::move(draft));
}

namespace {

bool needs_fans(Initialization init) {
  return init != Initialization::zeros && init != Initialization::ones;
}

template <class Draft>
void check_custom_parameters(const Draft& draft) {
  std::set<std::string> names;
  for (const ParameterSpec& parameter : draft.node.parameters) {
    const std::string quoted = "the parameter `" + parameter.name + "`";
    draft.require(is_node_name(parameter.name),
                  quoted + " has no name of letters, digits and underscores", "rename it");
    draft.require(names.insert(parameter.name).second, quoted + " is declared twice",
                  "give each parameter its own name");
    for (std::int64_t dim : parameter.shape) {
      draft.require(dim >= 1, quoted + " has the dimension " + std::to_string(dim),
                    "give dimensions of 1 or more");
    }
    draft.require(!needs_fans(parameter.init) || parameter.shape.size() >= 2,
                  quoted + " has " + std::to_string(parameter.shape.size()) + " dimensions, but " +
                      to_string(parameter.init) + " needs 2 or more",
                  "initialize it with zeros or ones, or give it the shape [out, in, ...]");
  }
}

template <class Draft>
void infer_custom(Draft& draft, const CustomOpBase& op) {
  const std::vector<Shape> shapes = draft.input_shapes();
  try {
    draft.node.shape = op.infer(shapes);
    draft.node.parameters = op.parameters(shapes);
  } catch (const std::invalid_argument& refusal) {
    draft.fail(refusal.what(), "give `" + op.type() + "` the inputs that it is made for");
  }
  draft.require(draft.node.shape.is_image() || draft.node.shape.is_features(),
                "its infer() returned " + to_string(draft.node.shape) +
                    ", neither an image {C,H,W} nor features {F}",
                "return three dimensions, or one");
  for (std::int64_t dim : draft.node.shape.dims) {
    draft.require(dim >= 1, "its infer() returned " + to_string(draft.node.shape),
                  "return dimensions of 1 or more");
  }
  const std::int64_t macs = op.macs(shapes);
  draft.require(macs >= 0, "its macs() returned " + std::to_string(macs), "return 0 or more");
  check_custom_parameters(draft);
}

}  // namespace

Value GraphBuilder::custom(std::string_view name, const std::vector<Value>& inputs,
                           std::shared_ptr<const CustomOpBase> op, Where where) {
  std::vector<Implementation::Draft::Input> labeled;
  for (const Value& x : inputs) {
    labeled.push_back({"inputs[" + std::to_string(labeled.size()) + "]", x});
  }
  Implementation::Draft draft(*implementation_, Op::custom, name, labeled, where);
  draft.require(op != nullptr, "its operation is a null pointer",
                "pass std::make_shared<const YourOp>(...)");
  draft.require(is_node_name(op->type()),
                "its type() `" + op->type() + "` is not letters, digits and underscores",
                "return a short type name such as squeeze_excite");
  draft.set_operation_name(op->type());
  draft.require(!inputs.empty(), "it has no inputs", "pass one Value or more");
  infer_custom(draft, *op);
  draft.node.options = std::move(op);
  return implementation_->commit(std::move(draft));
}

}  // namespace qhost
