#include "jobs/nearest_variant.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "graph/selector.h"
#include "graph/tensor_name.h"
#include "jobs/assemble.h"
#include "jobs/published_weights.h"

namespace qhost::jobs {
namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;
using Change = std::pair<std::string, OptionValue>;

constexpr std::int64_t largest_integer = 260;  // depths of published networks, and widths
constexpr int rounds = 3;

struct Fit {
  std::map<std::string, OptionValue> changed;
  std::int64_t tensors = 0, differing = 0;
  std::string classifier;

  /// The fewest differences; of equal ones the fewest changes.
  std::pair<std::int64_t, std::size_t> rank() const { return {differing, changed.size()}; }
};

/// The names of the network's tensors in a file: its own, or those of a published source. Empty if
/// that has no such network.
using Names = std::map<std::string, std::string>;

Names own_names(const Graph& graph) {
  Names names;
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      const std::string name = tensor_name(node.name, spec.name);
      names[name] = name;
    }
  }
  return names;
}

/// The shapes of the network's tensors, by their names in the file.
Shapes shapes_of(const Graph& graph, const Names& names) {
  Shapes shapes;
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      shapes[names.at(tensor_name(node.name, spec.name))] = spec.shape;
    }
  }
  return shapes;
}

std::int64_t count_differences(const Shapes& wanted, const Shapes& given,
                               const std::set<std::string>& ignored) {
  std::int64_t count = 0;
  for (const auto& [name, shape] : wanted) {
    const auto found = given.find(name);
    if (!ignored.contains(name) && (found == given.end() || found->second != shape)) ++count;
  }
  for (const auto& [name, shape] : given) {
    if (!wanted.contains(name)) ++count;
  }
  return count;
}

/// Finds the options by trying.
class Search {
 public:
  Search(const std::map<std::string, at::Tensor>& tensors, const Architecture& architecture,
         const Options& options, const Graph& graph)
      : architecture_(architecture), options_(options), graph_(graph) {
    for (const auto& [name, tensor] : tensors) given_[name] = tensor.sizes().vec();
    for (const Option& option : architecture.options) {
      auto& kind = option.type() == OptionType::integer ? integers_ : words_;
      for (OptionValue& value : values_of(option)) kind.emplace_back(option.name(), value);
    }
  }

  std::optional<Fit> best() const {
    Fit start = fit_of(graph_, options_);
    std::optional<Fit> found;
    for (int round = 0; round < rounds; ++round) {
      const Fit from = found ? *found : start;
      if (from.differing == 0) break;
      std::optional<Fit> better = step(from);
      if (!better) break;
      found = std::move(better);
    }
    if (!found || 2 * found->differing > start.differing || 2 * found->differing > found->tensors) {
      // The same network with another classifier needs no change.
      if (!start.classifier.empty() && start.differing == 0) return start;
      return {};
    }
    return found;
  }

 private:
  static std::vector<OptionValue> values_of(const Option& option) {
    std::vector<OptionValue> values;
    if (option.type() == OptionType::boolean) values = {true, false};
    for (const std::string& choice : option.choices()) {
      if (option.type() == OptionType::string) values.emplace_back(choice);
    }
    if (option.type() == OptionType::integer) {
      for (std::int64_t value = 0; value <= largest_integer; ++value) values.emplace_back(value);
    }
    std::erase_if(values,
                  [&](const OptionValue& value) { return !option.why_invalid(value).empty(); });
    return values;
  }

  /// The best of all that change a word, an integer, or one of each.
  std::optional<Fit> step(const Fit& from) const {
    std::optional<Fit> best;
    const auto consider = [&](const std::vector<Change>& changes) {
      Fit fit = try_out(from, changes);
      if (fit.tensors == 0 || fit.rank() >= (best ? *best : from).rank()) return;
      best = std::move(fit);
    };
    for (const Change& integer : integers_) consider({integer});
    for (const Change& word : words_) {
      consider({word});
      if (best && best->differing == 0) continue;
      for (const Change& integer : integers_) consider({word, integer});
    }
    return best;
  }

  /// Without tensors if there is no such network.
  Fit try_out(const Fit& from, const std::vector<Change>& changes) const {
    Fit fit;
    Options options = options_;
    fit.changed = from.changed;
    for (const auto& [name, value] : changes) fit.changed[name] = value;
    for (const auto& [name, value] : fit.changed) options.set(name, value);
    std::erase_if(fit.changed, [&](const auto& change) {
      return options_.has(change.first) && options_.values().at(change.first) == change.second;
    });
    try {
      const Graph graph = build_graph(architecture_, "", options, graph_.input().shape,
                                      graph_.output().shape.dims.at(0));
      Fit found = fit_of(graph, options);
      found.changed = std::move(fit.changed);
      return found;
    } catch (const Error&) {
      return {};  // options that do not fit together
    }
  }

  Fit fit_of(const Graph& graph, const Options& options) const {
    Fit best = fit_under(graph, own_names(graph), given_);
    for (const StateDictKeyMap& source : architecture_.published) {
      const Names names = state_dict_keys(graph, architecture_, source, options);
      if (names.empty()) continue;
      Shapes given = given_;
      std::erase_if(given, [&](const auto& entry) {
        return is_unused(entry.first, architecture_, source, options);
      });
      Fit fit = fit_under(graph, names, given);
      if (fit.differing < best.differing) best = std::move(fit);
    }
    return best;
  }

  static Fit fit_under(const Graph& graph, const Names& names, const Shapes& given) {
    const Shapes wanted = shapes_of(graph, names);
    const std::set<std::string> classifier = other_classifier(graph, names, wanted, given);
    Fit fit;
    fit.tensors = static_cast<std::int64_t>(wanted.size());
    fit.differing = count_differences(wanted, given, classifier);
    if (!classifier.empty()) fit.classifier = last_weighted(graph)->name;
    return fit;
  }

  /// The names of the last layer's tensors, if these differ in their first dimension alone.
  static std::set<std::string> other_classifier(const Graph& graph, const Names& names,
                                                const Shapes& wanted, const Shapes& given) {
    const Node* last = last_weighted(graph);
    std::set<std::string> result;
    if (last == nullptr) return result;
    for (const ParameterSpec& spec : last->parameters) {
      const std::string& name = names.at(tensor_name(last->name, spec.name));
      const auto found = given.find(name);
      if (found == given.end() || found->second.size() != spec.shape.size()) return {};
      const std::vector<std::int64_t>& here = wanted.at(name);
      if (found->second.empty() || found->second[0] == here[0] ||
          !std::equal(here.begin() + 1, here.end(), found->second.begin() + 1)) {
        return {};
      }
      result.insert(name);
    }
    return result;
  }

  const Architecture& architecture_;
  const Options& options_;
  const Graph& graph_;
  Shapes given_;
  std::vector<Change> integers_, words_;
};

}  // namespace

std::optional<Variant> nearest_variant(const std::map<std::string, at::Tensor>& tensors,
                                       const Architecture& architecture, const Options& options,
                                       const Graph& graph) {
  const std::optional<Fit> fit = Search(tensors, architecture, options, graph).best();
  if (!fit) return {};
  return Variant{fit->changed, fit->tensors, fit->differing, fit->classifier};
}

std::string to_text(const Variant& variant) {
  std::string text;
  for (const auto& [name, value] : variant.changed) {
    text += (text.empty() ? "set model." : ", model.") + name + " = " + to_string(value);
  }
  if (!variant.classifier.empty()) {
    text += (text.empty() ? "set " : ", ") + std::string("train.init_except = [\"") +
            variant.classifier + "\"], which draws the classifier anew";
  }
  const std::int64_t fitting = variant.tensors - variant.differing;
  const std::string rest = variant.classifier.empty() ? "" : " other";
  if (variant.differing == 0) {
    return text + ": all" + rest + " tensors fit";
  }
  return text + ": this is the nearest variant, of which " + std::to_string(variant.differing) +
         " of " + std::to_string(std::max(fitting, std::int64_t{0}) + variant.differing) +
         " tensors differ";
}

}  // namespace qhost::jobs
