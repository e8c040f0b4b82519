#include "graph/selector.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "common/near_match.h"
#include "qhost/error.h"

namespace qhost {
namespace {

constexpr std::array all_operations = {
    Op::input,   Op::conv2d,    Op::linear,   Op::batch_norm,   Op::activation,
    Op::add,     Op::concat,    Op::max_pool, Op::average_pool, Op::global_average_pool,
    Op::dropout, Op::subsample, Op::flatten,  Op::custom};

bool is_weighted(const Node& node) {
  return node.op == Op::conv2d || node.op == Op::linear;
}

bool has_slot(const Node& node, Role role) {
  if (is_weighted(node)) return true;
  if (role != Role::input) return false;
  switch (node.op) {
    case Op::add:
    case Op::concat:
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
      return true;
    default:
      return false;
  }
}

// Iterative, with one point of return: linear space and at most quadratic time for any pattern.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return {};
  return value;
}

std::optional<Size2> parse_kernel(std::string_view text) {
  const std::size_t cross = text.find('x');
  const auto height = whole_number(text.substr(0, cross));
  const auto width =
      cross == std::string_view::npos ? height : whole_number(text.substr(cross + 1));
  if (!height || !width) return {};
  return Size2(*height, *width);
}

std::string operation_list() {
  std::string text;
  for (Op op : all_operations) text += std::string(text.empty() ? "" : ", ") + to_string(op);
  return text;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string> near = near_matches(word, candidates);
  return near.empty() ? "" : "; did you mean `" + near.front() + "`?";
}

const char* regex_fault(std::regex_constants::error_type code, std::string_view text) {
  using namespace std::regex_constants;
  // libstdc++ also says error_paren of whatever it did not expect.
  const bool has_parenthesis = text.find_first_of("()") != std::string_view::npos;
  if (code == error_paren && has_parenthesis) return "parentheses do not match";
  if (code == error_brack) return "brackets do not match";
  if (code == error_brace || code == error_badbrace) return "the braces are malformed";
  if (code == error_badrepeat) return "a repetition has nothing to repeat";
  if (code == error_escape) return "an escape is malformed";
  if (code == error_range) return "a character range is malformed";
  if (code == error_ctype) return "an unknown character class";
  if (code == error_complexity || code == error_stack || code == error_space) {
    return "it is too complex";
  }
  return "it is malformed";
}

constexpr std::string_view forms =
    "a selector is a glob on names (`stage2.*`), `re:` and a regular expression, `first`, `last`, "
    "`type:conv2d` or `kernel:1x1`";
// Longer than any sensible expression, and short enough for the recursion of std::regex.
constexpr std::size_t longest_selector = 512;

}  // namespace

std::string Selector::interpret(std::string_view text, Selector& selector, std::string& help) {
  const std::string quoted = "`" + std::string(text) + "`";
  help = forms;
  selector.text_ = text;
  if (text.empty()) return "the selector is empty";
  if (text.size() > longest_selector) {
    return "the selector has " + std::to_string(text.size()) + " characters, above the limit of " +
           std::to_string(longest_selector);
  }
  if (text == "first" || text == "last") {
    selector.kind_ = text == "first" ? Kind::first : Kind::last;
    return "";
  }
  const std::size_t colon = text.find(':');
  const std::string_view prefix = text.substr(0, colon);
  const std::string_view rest =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (colon == std::string_view::npos) {
    selector.kind_ = Kind::glob;
    const auto bad = std::find_if_not(text.begin(), text.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '*' || c == '?';
    });
    if (bad == text.end()) return "";
    return "the character `" + std::string(1, *bad) + "` in " + quoted +
           " stands in no node's name, so the glob can match none";
  }
  if (prefix == "re") {
    selector.kind_ = Kind::regex;
    try {
      selector.regex_.assign(rest.begin(), rest.end(), std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      help = "write an ECMAScript regular expression that matches the whole name";
      return "bad regular expression in " + quoted + ": " + regex_fault(error.code(), rest);
    }
    return "";
  }
  if (prefix == "type") {
    selector.kind_ = Kind::type;
    const auto op = std::find_if(all_operations.begin(), all_operations.end(),
                                 [rest](Op candidate) { return rest == to_string(candidate); });
    if (op != all_operations.end()) {
      selector.op_ = *op;
      return "";
    }
    help = "the operations are " + operation_list();
    std::vector<std::string> names;
    for (Op candidate : all_operations) names.emplace_back(to_string(candidate));
    return "unknown operation `" + std::string(rest) + "` in " + quoted + did_you_mean(rest, names);
  }
  if (prefix == "kernel") {
    selector.kind_ = Kind::kernel;
    const auto kernel = parse_kernel(rest);
    if (kernel) {
      selector.kernel_ = *kernel;
      return "";
    }
    help = "write kernel:1x1, height x width";
    return "bad kernel `" + std::string(rest) + "` in " + quoted;
  }
  return "unknown kind of selector `" + std::string(prefix) + ":` in " + quoted +
         did_you_mean(prefix, {"re", "type", "kernel"});
}

Selector Selector::parse(std::string_view text) {
  Selector selector;
  std::string help;
  const std::string fault = interpret(text, selector, help);
  if (!fault.empty()) {
    throw Error(ErrorKind::configuration, "layers: " + fault, help);
  }
  return selector;
}

std::string Selector::why_invalid(std::string_view text) {
  Selector selector;
  std::string help;
  return interpret(text, selector, help);
}

bool Selector::matches(const Graph& graph, const Node& node) const {
  switch (kind_) {
    case Kind::glob:
      return glob_matches(text_, node.name);
    case Kind::regex:
      return std::regex_match(node.name, regex_);
    case Kind::first:
      return first_weighted(graph) == &node;
    case Kind::last:
      return last_weighted(graph) == &node;
    case Kind::type:
      return node.op == op_;
    case Kind::kernel:
      return node.op == Op::conv2d && node.as<Conv2dOptions>().kernel == kernel_;
  }
  return false;
}

namespace {

template <class Condition>
std::vector<int> ids_where(const Graph& graph, Condition condition) {
  std::vector<int> ids;
  for (const Node& node : graph.nodes()) {
    if (condition(node)) ids.push_back(node.id);
  }
  return ids;
}

}  // namespace

std::vector<int> slot_candidates(const Graph& graph, Role role) {
  return ids_where(graph, [role](const Node& node) { return has_slot(node, role); });
}

std::vector<int> match(const Graph& graph, const Selector& selector, Role role) {
  return ids_where(graph, [&](const Node& node) {
    return has_slot(node, role) && selector.matches(graph, node);
  });
}

std::vector<int> match(const Graph& graph, const Selector& selector) {
  return match(graph, selector, Role::input);  // every node with a weight has an input
}

const Node* first_weighted(const Graph& graph) {
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), is_weighted);
  return found == nodes.end() ? nullptr : &*found;
}

const Node* last_weighted(const Graph& graph) {
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.rbegin(), nodes.rend(), is_weighted);
  return found == nodes.rend() ? nullptr : &*found;
}

}  // namespace qhost
