// GraphBuilder: input, scopes, handles and finish().
#include <deque>
#include <vector>

#include "sdk/builder_state.h"
#include "sdk/describe.h"
#include "sdk/live_builders.h"

namespace qhost {

GraphBuilder::GraphBuilder() : implementation_(std::make_unique<Implementation>(*this)) {
  add_live_builder(this);
}

GraphBuilder::~GraphBuilder() {
  remove_live_builder(this);
}

const Shape& Value::shape() const {
  if (builder_ == nullptr || !is_live_builder(builder_)) {
    throw Error(ErrorKind::configuration,
                std::string("shape() of ") + (builder_ == nullptr
                                                  ? "an empty Value that no builder call made"
                                                  : "a Value whose GraphBuilder no longer exists"),
                "ask for the shape of a Value that a builder call returned");
  }
  return builder_->shape(*this);
}

const Shape& GraphBuilder::shape(Value value) const {
  if (!implementation_->owns(value)) {
    throw Error(ErrorKind::configuration, "shape() of " + Implementation::describe_foreign(value),
                "ask for the shape of a Value that a call of this same builder returned");
  }
  return implementation_->nodes[static_cast<std::size_t>(value.id_)].shape;
}

Value GraphBuilder::input(const Shape& shape, Where where) {
  Implementation::Draft draft(*implementation_, Op::input, "input", {}, where);
  if (!implementation_->nodes.empty()) {
    draft.fail("the network has an input already", "a network has one input: use its Value",
               {"first", &implementation_->nodes.front(), ""});
  }
  draft.require(shape.is_image() || shape.is_features(),
                "the input " + to_string(shape) + " is neither an image {C,H,W} nor features {F}",
                "give three dimensions, or one");
  for (std::int64_t dim : shape.dims) {
    draft.require(dim >= 1, "the input " + to_string(shape) + " has a dimension below 1",
                  "give dimensions of 1 or more");
  }
  draft.node.shape = shape;
  return implementation_->commit(std::move(draft));
}

Scope GraphBuilder::scope(std::string_view name, Where where) {
  if (!is_node_name(name)) {
    throw node_error(
        {where.file_name(), static_cast<int>(where.line()), static_cast<int>(where.column())},
        implementation_->prefix + std::string(name), "scope",
        "`" + std::string(name) + "` is not a name: a name is letters, digits and underscores", {},
        "open one scope for each part of a path");
  }
  const std::size_t previous = implementation_->prefix.size();
  implementation_->prefix += std::string(name) + ".";
  return Scope(*this, previous);
}

Scope::~Scope() {
  builder_.implementation_->prefix.resize(previous_);
}

namespace {

std::vector<bool> nodes_that_reach(const std::deque<Node>& nodes, int output) {
  std::vector<bool> reaches(nodes.size(), false);
  reaches[static_cast<std::size_t>(output)] = true;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (!reaches[static_cast<std::size_t>(node->id)]) continue;
    for (int source : node->inputs) reaches[static_cast<std::size_t>(source)] = true;
  }
  return reaches;
}

void require_all_used(const std::deque<Node>& nodes, const Node& output) {
  const std::vector<bool> reaches = nodes_that_reach(nodes, output.id);
  std::vector<bool> read(nodes.size(), false);
  for (const Node& node : nodes) {
    for (int source : node.inputs) read[static_cast<std::size_t>(source)] = true;
  }
  // An unread node is the end of a forgotten branch; the error points to its line.
  std::vector<Operand> ends;
  for (const Node& node : nodes) {
    const auto i = static_cast<std::size_t>(node.id);
    if (!reaches[i] && !read[i]) ends.push_back({"unread", &node, ""});
  }
  if (ends.empty()) return;
  const Node& first = *ends.front().node;
  ends.push_back({"output", &output, ""});
  throw node_error(place_of(first), first.name, operation_name(first),
                   "does not reach the output `" + output.name + "`", ends,
                   "pass its Value on, or remove the node");
}

}  // namespace

Graph GraphBuilder::finish(Value output, std::int64_t classes, Where where) {
  const auto fail = [&](const SourcePlace& place, const std::string& path,
                        const std::string& operation, const std::string& sentence,
                        const std::vector<Operand>& operands, const std::string& help) {
    throw node_error(place, path, operation, sentence, operands, help);
  };
  const SourcePlace here = {where.file_name(), static_cast<int>(where.line()),
                            static_cast<int>(where.column())};
  Implementation& state = *implementation_;
  if (state.finished) {
    fail(here, "finish", "finish",
         "the graph was finished before, at " + std::string(state.finished->file_name()) + ":" +
             std::to_string(state.finished->line()),
         {}, "call finish() once; a second network needs a GraphBuilder of its own");
  }
  if (!state.owns(output)) {
    const std::string what = Implementation::describe_foreign(output);
    fail(here, "finish", "finish", "output is " + what, {{"output", nullptr, what}},
         "return the Value that a call of this same builder returned last");
  }
  const Node& last = state.nodes[static_cast<std::size_t>(output.id_)];
  const std::vector<Operand> operands = {{"output", &last, ""}};
  if (classes < 1) {
    fail(here, last.name, operation_name(last),
         "the number of classes is " + std::to_string(classes) + ", below the minimum 1", operands,
         "give the number of classes of the data set");
  }
  const std::string wanted = std::to_string(classes);
  if (!last.shape.is_features()) {
    fail(place_of(last), last.name, operation_name(last),
         "the output is the image " + to_string(last.shape) + ", not one value for each of " +
             wanted + " classes",
         operands, "end with global_average_pool or flatten, then linear to " + wanted);
  }
  if (last.shape.channels() != classes) {
    fail(place_of(last), last.name, operation_name(last),
         "the output has " + std::to_string(last.shape.channels()) +
             " features, but the data set has " + wanted + " classes",
         operands, "set the last layer's features to the context's `classes`");
  }
  require_all_used(state.nodes, last);

  state.finished = where;
  Graph graph;
  graph.nodes_.assign(state.nodes.begin(), state.nodes.end());  // Values read the originals
  graph.output_ = output.id_;
  return graph;
}

}  // namespace qhost
