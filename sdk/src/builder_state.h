// builder_state.h: the state of a GraphBuilder, and a node while it is checked.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/graph.h"
#include "sdk/diagnose.h"

namespace qhost {

/// Limits that keep all derived sizes (bytes, multiply-accumulates) within 64 bits.
inline constexpr std::int64_t largest_dimension = std::int64_t{1} << 24;
inline constexpr std::int64_t largest_tensor = (std::int64_t{1} << 31) - 1;

struct GraphBuilder::Implementation {
  class Draft;

  explicit Implementation(const GraphBuilder& owner) : builder(owner) {}

  const GraphBuilder& builder;
  std::deque<Node> nodes;                       ///< a deque, since Value::shape() returns
                                                ///< references
  std::map<std::string, int, std::less<>> ids;  ///< by name with its scopes
  std::optional<double> batch_norm_epsilon;     ///< instead of what the options say
  std::string prefix;                           ///< "stage2.block0.", from the open scopes
  std::optional<Where> finished;

  Value commit(Draft&& draft);
  bool owns(const Value& value) const;
  /// Names a Value of another builder in an error: "an empty Value", "node `x` of another ...".
  static std::string describe_foreign(const Value& value);
};

/// A node while it is checked. The constructor refuses what no operation accepts: a bad or taken
/// name, a Value of another builder, a builder that has finished.
class GraphBuilder::Implementation::Draft {
 public:
  struct Input {
    std::string label;
    Value value;
  };
  /// `operation` is the name in errors; the name of `op` if empty.
  Draft(Implementation& state, Op op, std::string_view name, const std::vector<Input>& inputs,
        Where where, std::string operation = "");

  [[noreturn]] void fail(const std::string& sentence, const std::string& help) const;
  /// fail() with another node in the error.
  [[noreturn]] void fail(const std::string& sentence, const std::string& help,
                         const Operand& also) const;
  void require(bool condition, const std::string& sentence, const std::string& help) const {
    if (!condition) fail(sentence, help);
  }
  /// Requires lowest <= value <= highest.
  void require_between(const std::string& what, std::int64_t value, std::int64_t lowest,
                       std::int64_t highest = largest_dimension) const;
  void require_between(const std::string& what, const Size2& value, std::int64_t lowest,
                       std::int64_t highest = largest_dimension) const;
  void require_image(const std::string& help) const;
  /// Checks the sizes of the result and of every parameter before the node is added.
  void require_sizes() const;

  const Shape& input(std::size_t i = 0) const { return nodes_[i]->shape; }
  const std::string& label(std::size_t i) const { return labels_[i]; }
  std::vector<Shape> input_shapes() const;
  void set_operation_name(std::string name) { operation_ = std::move(name); }

  Node node;

 private:
  void check_name(std::string_view name) const;
  void check_state() const;
  void check_inputs(const std::vector<Input>& inputs);
  void check_unique() const;

  const Implementation& state_;
  std::string operation_;
  std::vector<std::string> labels_;
  std::vector<const Node*> nodes_;
  std::vector<Operand> operands_;
};

/// [A-Za-z0-9_]+
bool is_node_name(std::string_view name);
/// Height and width of the result of a window; requires kernel <= size + 2 * padding in both.
Size2 window_output(const Shape& input, const Size2& kernel, const Size2& stride,
                    const Size2& padding);
bool window_fits(const Shape& input, const Size2& kernel, const Size2& padding);
/// "the kernel 7x7 is larger than the padded input 4x4"
std::string window_misfit(const Shape& input, const Size2& kernel, const Size2& padding);

}  // namespace qhost
