/// graph/selector.h: the `layers` selectors of an experiment's quantizer rules.
///
///     "stage2.*"      a glob on the scoped name; * any characters, dots too, ? one character
///     "re:.*conv[12]" an ECMAScript regular expression that matches the whole name
///     "first" "last"  the first and the last conv2d or linear of the graph
///     "type:conv2d"   every node of that operation
///     "kernel:1x1"    every conv2d of that kernel, height x width ("kernel:3" is 3x3)
#pragma once

#include <cstdint>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/graph.h"
#include "qhost/slot.h"

namespace qhost {

/// Ids of the nodes that have such a slot, in graph order.
std::vector<int> slot_candidates(const Graph& graph, Role role);

class Selector {
 public:
  /// Throws Error (configuration) with the sentence of why_invalid() and a help line.
  static Selector parse(std::string_view text);
  /// "" when parse() accepts the text, else one sentence ("unknown operation `conv3d` in
  /// `type:conv3d`; did you mean `conv2d`?").
  static std::string why_invalid(std::string_view text);

  const std::string& text() const { return text_; }
  bool matches(const Graph& graph, const Node& node) const;

 private:
  enum class Kind { glob, regex, first, last, type, kernel };
  static std::string interpret(std::string_view text, Selector& selector, std::string& help);

  Selector() = default;
  Kind kind_ = Kind::glob;
  std::string text_;
  std::regex regex_;
  Op op_ = Op::conv2d;
  Size2 kernel_;
};

/// Ids of the nodes among slot_candidates(graph, role) that the selector matches, in graph order.
std::vector<int> match(const Graph& graph, const Selector& selector, Role role);
/// The same among the candidates of any role.
std::vector<int> match(const Graph& graph, const Selector& selector);

/// The first and the last conv2d or linear of the graph, or null when it has none.
const Node* first_weighted(const Graph& graph);
const Node* last_weighted(const Graph& graph);

}  // namespace qhost
