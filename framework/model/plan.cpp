#include "model/plan.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/number_text.h"
#include "graph/fans.h"
#include "graph/non_negative.h"
#include "graph/selector.h"
#include "lowering/passes/fold_batch_norm.h"
#include "lowering/start_graph.h"
#include "model/plugin_call.h"

namespace qhost {
namespace {

SlotInfo describe(const Graph& graph, const Node& node, Role role, int edge) {
  SlotInfo info;
  info.node = node.name;
  info.op = node.op;
  info.role = role;
  info.edge = edge;
  if (node.op == Op::conv2d) {
    const auto& options = node.as<Conv2dOptions>();
    info.kernel = options.kernel;
    info.stride = options.stride;
    info.padding = options.padding;
    info.groups = options.groups;
  } else if (node.op == Op::max_pool || node.op == Op::average_pool) {
    const auto& options = node.as<PoolOptions>();
    info.kernel = options.kernel;
    info.stride = options.stride;
    info.padding = options.padding;
  }
  if (node.op == Op::conv2d || node.op == Op::linear) {
    const Fans connections = fans(node);
    info.fan_in = connections.in;
    info.fan_out = connections.out;
  }
  info.first = first_weighted(graph) == &node;
  info.last = last_weighted(graph) == &node;
  switch (role) {
    case Role::weight:
      info.shape = node.parameters.at(0).shape;
      break;
    case Role::input:
      info.shape = graph.node(node.inputs.at(static_cast<std::size_t>(edge))).shape.dims;
      break;
    case Role::gradient:
      info.shape = node.shape.dims;
      break;
  }
  return info;
}

/// The ids that a list of selectors picks; each selector must be well formed and match something.
std::set<int> select(const Graph& graph, int rule, const std::string& key,
                     const std::vector<std::string>& texts) {
  std::set<int> ids;
  for (const auto& text : texts) {
    const std::string why = Selector::why_invalid(text);
    if (!why.empty()) throw RuleError(rule, key, why);
    const std::vector<int> found = match(graph, Selector::parse(text));
    if (found.empty()) {
      throw RuleError(rule, key, "`" + text + "` matches no layer of this network",
                      "`qhost summary` lists the layers' names");
    }
    ids.insert(found.begin(), found.end());
  }
  return ids;
}

std::string list_of(const std::vector<Role>& roles) {
  std::string text;
  for (const Role role : roles) {
    text += std::string(text.empty() ? "" : ", ") + "\"" + to_string(role) + "\"";
  }
  return text;
}

void require_offered(const MethodRule& rule, int index, const std::string& key, Role role) {
  if (std::find(rule.offers.begin(), rule.offers.end(), role) != rule.offers.end()) return;
  throw RuleError(index, key,
                  "`" + rule.method + "` does not quantize role \"" + to_string(role) + "\"",
                  "it offers " + list_of(rule.offers));
}

/// "first/input" as "first" and its role; without a role all of them are meant.
std::pair<std::string, std::optional<Role>> split_role(const std::string& text) {
  for (const Role role : {Role::weight, Role::input, Role::gradient}) {
    const std::string suffix = std::string("/") + to_string(role);
    if (text.ends_with(suffix)) return {text.substr(0, text.size() - suffix.size()), role};
  }
  return {text, std::nullopt};
}

/// What a rule's keep_float takes out of it: `first` every role of that layer, `first/input` one.
std::set<std::pair<int, Role>> kept_float(const Graph& graph, const MethodRule& rule, int index) {
  std::set<std::pair<int, Role>> kept;
  for (const std::string& text : rule.keep_float.value_or(rule.default_keep_float)) {
    const auto [layers, role] = split_role(text);
    if (role) require_offered(rule, index, "keep_float", *role);
    if (const std::string why = Selector::why_invalid(layers); !why.empty()) {
      throw RuleError(index, "keep_float", why,
                      layers.find('/') == std::string::npos
                          ? ""
                          : "a role of a layer is kept by `/weight`, `/input` or `/gradient` "
                            "behind its selector");
    }
    for (const int id : select(graph, index, "keep_float", {layers})) {
      if (role) {
        kept.emplace(id, *role);
      } else {
        for (const Role every : rule.offers) kept.emplace(id, every);
      }
    }
  }
  return kept;
}

std::string rule_name(const std::vector<MethodRule>& rules, int rule) {
  return "rule " + std::to_string(rule + 1) + " (" + rules[static_cast<std::size_t>(rule)].method +
         ")";
}

struct Claim {
  int rule = -1;
};

InputRange range_of(const PlannedSlot& slot) {
  return call_plugin(call_of(slot, "range"), [&] { return slot.input->range(); });
}

/// Whether a quantized edge has values below 0 where it reads none: levels on both sides of 0, of
/// which none need be 0.
bool gives_signed_values(const PlannedSlot& slot) {
  if (range_of(slot) == InputRange::signed_values) return true;
  const CodeKind kind =
      call_plugin(call_of(slot, "encoding"), [&] { return slot.input->encoding(slot.info); }).kind;
  return kind == CodeKind::binary || kind == CodeKind::ternary;
}

/// The method's levels begin at 0, and the edge can be negative.
bool loses_negative_values(const PlannedSlot& slot) {
  return slot.input != nullptr && !slot.info.non_negative &&
         range_of(slot) == InputRange::non_negative;
}

std::string first_few(const std::vector<std::string>& texts, const char* rest) {
  constexpr std::size_t shown = 4;
  std::string list;
  for (std::size_t i = 0; i < std::min(texts.size(), shown); ++i) {
    list += (i == 0 ? "" : ", ") + texts[i];
  }
  if (texts.size() > shown) list += rest;
  return list;
}

/// One sentence for each rule and advice, not for each layer.
void warn_of_lost_signs(const std::vector<MethodRule>& rules, Plan& plan) {
  std::map<std::pair<int, std::string>, std::vector<std::string>> layers;
  for (const PlannedSlot& slot : plan.slots) {
    if (!loses_negative_values(slot)) continue;
    const std::string edge = slot.info.edge > 0 ? " (" + std::to_string(slot.info.edge) + ")" : "";
    const std::string advice =
        call_plugin(call_of(slot, "range_advice"), [&] { return slot.input->range_advice(); });
    layers[{slot.rule, advice}].push_back(slot.info.node + edge);
  }
  for (const auto& [key, names] : layers) {
    const MethodRule& rule = rules[static_cast<std::size_t>(key.first)];
    std::vector<std::string> kept;
    for (const std::string& selector : rule.keep_float.value_or(rule.default_keep_float)) {
      kept.push_back("\"" + selector + "\"");
    }
    std::vector<std::string> wanted;
    for (const std::string& name : names) {
      const std::string text = "\"" + name.substr(0, name.find(' ')) + "/input\"";
      if (wanted.empty() || wanted.back() != text) wanted.push_back(text);
    }
    std::string keep_float = first_few(kept, ", ...");
    keep_float += (keep_float.empty() ? "" : ", ") + first_few(wanted, ", ...");
    const std::string more =
        " and " + std::to_string(names.size() - std::min<std::size_t>(names.size(), 4)) + " more";
    plan.warnings.push_back({"`" + rule.method + "` has no levels below 0 for the inputs of " +
                             first_few(names, more.c_str()) +
                             ", which can be negative: all that is negative becomes 0. " +
                             (key.second.empty() ? "" : key.second + "; ") + "keep_float = [" +
                             keep_float + "] leaves these inputs in float"});
  }
}

}  // namespace

RuleError::RuleError(int rule, std::string key, std::string message, std::string help)
    : Error(ErrorKind::configuration, std::move(message), std::move(help)),
      rule_(rule),
      key_(std::move(key)) {}
RuleError::~RuleError() = default;

const PlannedSlot* Plan::find(int node, Role role, int edge) const {
  for (const auto& slot : slots) {
    if (slot.node == node && slot.info.role == role && slot.info.edge == edge) return &slot;
  }
  return nullptr;
}

namespace {

/// Makes the plan in three steps: which rule has which (node, role), the slots that its method
/// takes, and what is to be said of it all.
class Planner {
 public:
  Planner(const Graph& graph, const std::vector<MethodRule>& rules, bool non_negative_image)
      : graph_(graph),
        rules_(rules),
        counts_(rules.size()),
        signs_{.image = non_negative_image, .signed_edges = {}},
        non_negative_(non_negative_nodes(graph, signs_)) {}

  Plan plan() {
    for (int rule = 0; rule < static_cast<int>(rules_.size()); ++rule) claim(rule);
    for (const auto& [key, claim] : claims_) {  // by node, weight before input
      const Node& node = graph_.node(key.first);
      if (!rule_at(claim.rule).quantizer) continue;  // `none`: whatever an earlier rule says
      ++counts_at(claim.rule).offered;
      if (key.second == Role::gradient) {
        add_gradient(node, claim.rule);
      } else {
        add_slots(node, key.second, claim.rule);
      }
    }
    find_folded_batch_norms();
    warn_of_bypassed_quantizers();
    warn_of_lost_signs(rules_, plan_);
    for (int rule = 0; rule < static_cast<int>(rules_.size()); ++rule) require_slots(rule);
    return std::move(plan_);
  }

 private:
  struct Counts {
    int slots = 0, offered = 0;
    std::set<int> overridden_by;  ///< rules
  };

  const MethodRule& rule_at(int rule) const { return rules_[static_cast<std::size_t>(rule)]; }
  Counts& counts_at(int rule) { return counts_[static_cast<std::size_t>(rule)]; }

  /// The last rule that selects a (node, role) has it; keep_float takes a node out of its own rule
  /// only.
  void claim(int index) {
    const MethodRule& rule = rule_at(index);
    const std::set<int> layers = select(graph_, index, "layers", rule.layers);
    const std::set<std::pair<int, Role>> kept = kept_float(graph_, rule, index);
    for (const Role role : rule.roles.empty() ? rule.offers : rule.roles) {
      require_offered(rule, index, "roles", role);
      for (const int id : slot_candidates(graph_, role)) {
        if (layers.count(id) == 0 || kept.contains({id, role})) continue;
        Claim& claim = claims_[{id, role}];
        if (claim.rule >= 0) counts_at(claim.rule).overridden_by.insert(index);
        claim.rule = index;
      }
    }
  }

  void add_gradient(const Node& node, int index) {
    const MethodRule& rule = rule_at(index);
    auto gradient = std::make_shared<PlannedGradient>();
    gradient->info = describe(graph_, node, Role::gradient, 0);
    gradient->node = node.id;
    gradient->method = rule.method;
    gradient->plugin = rule.plugin;
    gradient->quantizer = call_plugin(call_of(*gradient, "gradient"),
                                      [&] { return rule.quantizer->gradient(gradient->info); });
    if (!gradient->quantizer) return;
    ++counts_at(index).slots;
    gradient->traits =
        call_plugin(call_of(*gradient, "traits"), [&] { return rule.quantizer->traits(); });
    plan_.gradients.push_back(std::move(gradient));
  }

  void add_slots(const Node& node, Role role, int rule) {
    const int edges = role == Role::weight ? 1 : static_cast<int>(node.inputs.size());
    for (int edge = 0; edge < edges; ++edge) add_slot(node, role, edge, rule);
  }

  void add_slot(const Node& node, Role role, int edge, int index) {
    const MethodRule& rule = rule_at(index);
    PlannedSlot slot;
    slot.info = describe(graph_, node, role, edge);
    slot.node = node.id;
    slot.rule = index;
    slot.method = rule.method;
    slot.plugin = rule.plugin;
    if (!(role == Role::weight ? make_weight(slot) : make_input(slot, node))) return;
    slot.quantizer = rule.quantizer;
    slot.traits = call_plugin(call_of(slot, "traits"), [&] { return rule.quantizer->traits(); });
    plan_.ensemble_size = std::max(plan_.ensemble_size, slot.traits.ensemble_size);
    plan_.needs_calibration = plan_.needs_calibration || slot.traits.needs_calibration;
    plan_.bias_correction =
        plan_.bias_correction || (role == Role::weight && slot.traits.bias_correction);
    ++counts_at(index).slots;
    if (role == Role::input && slot.info.non_negative && gives_signed_values(slot)) {
      // What an add of such edges gives is signed; later slots, of nodes behind it, must know.
      signs_.signed_edges.emplace(node.id, edge);
      non_negative_ = non_negative_nodes(graph_, signs_);
    }
    plan_.slots.push_back(std::move(slot));
  }

  /// False when the method does not take the slot.
  bool make_weight(PlannedSlot& slot) {
    const MethodRule& rule = rule_at(slot.rule);
    slot.weight =
        call_plugin(call_of(slot, "weight"), [&] { return rule.quantizer->weight(slot.info); });
    return slot.weight != nullptr;
  }

  /// Levels and values must be the same numbers: evaluation pads the levels.
  static double padding_value_of(const PlannedSlot& slot) {
    const PluginCall call = call_of(slot, "padding_value");
    const double value = call_plugin(call, [&] { return slot.input->padding_value(); });
    if (value == 0 || slot.info.op != Op::conv2d) return 0;
    const Encoding encoding =
        call_plugin(call_of(slot, "encoding"), [&] { return slot.input->encoding(slot.info); });
    const bool scaled = encoding.scale != ScaleKind::none && encoding.scale != ScaleKind::position;
    if (!std::isfinite(value) || scaled) {
      broke_word(call, "it gives " + significant(value) + ", and its encoding is " +
                           to_string(encoding) + ": a padding value needs one without a scale");
    }
    return value;
  }

  bool make_input(PlannedSlot& slot, const Node& node) {
    const MethodRule& rule = rule_at(slot.rule);
    const int source = node.inputs[static_cast<std::size_t>(slot.info.edge)];
    slot.info.non_negative = non_negative_[static_cast<std::size_t>(source)];
    slot.input =
        call_plugin(call_of(slot, "input"), [&] { return rule.quantizer->input(slot.info); });
    if (!slot.input) return false;
    slot.padding_value = padding_value_of(slot);
    if (range_of(slot) != InputRange::signed_values) return true;
    try {
      slot.elision = elide_relu(graph_, node, slot.info.edge);
    } catch (const Error& error) {
      throw RuleError(slot.rule, "name",
                      "`" + rule.method + "` quantizes signed inputs: " + error.message(),
                      error.helps().empty() ? "" : error.helps().front());
    }
    return true;
  }

  /// The batch norms that folding methods take in, as evaluation's pass decides.
  void find_folded_batch_norms() {
    LayerPlans folding;
    for (const PlannedSlot& slot : plan_.slots) {
      if (!slot.weight || !slot.traits.fold_batch_norm) continue;
      folding[slot.info.node].folds_batch_norm = true;
    }
    if (folding.empty()) return;
    InferenceGraph folded = start_graph(graph_, folding);
    fold_batch_norm(folded, FoldWhere::methods_that_fold);
    for (PlannedSlot& slot : plan_.slots) {
      if (!slot.weight) continue;
      const std::string& norm = folded.node(folded.find(slot.info.node)).folded_batch_norm;
      if (!norm.empty()) slot.folded_batch_norm = graph_.find(norm)->id;
    }
  }

  void warn_of_bypassed_quantizers() {
    for (const PlannedSlot& slot : plan_.slots) {
      if (!slot.elision) continue;
      for (const int between : slot.elision->through) {
        if (plan_.find(between, Role::input) == nullptr) continue;
        plan_.warnings.push_back({slot.info.node + " reads in front of the ReLU, past " +
                                  graph_.node(between).name +
                                  ", whose own quantized input it does not see"});
      }
    }
  }

  /// A rule that has no slot is a mistake, or a warning where other rules took them all.
  void require_slots(int index) {
    const MethodRule& rule = rule_at(index);
    const Counts& counts = counts_at(index);
    if (counts.slots != 0 || !rule.quantizer) return;
    if (counts.offered > 0) {
      throw RuleError(index, "name",
                      "`" + rule.method + "` takes none of the " + std::to_string(counts.offered) +
                          " slots that its rule selects: not of these layers and roles, or not "
                          "with these options",
                      "`qhost describe " + rule.method + "`");
    }
    if (counts.overridden_by.empty()) {
      throw RuleError(
          index, "layers",
          "`" + rule.method +
              "` quantizes nothing: its layers, less keep_float, leave no slot that it "
              "takes",
          "`qhost summary` lists the layers; [quantizer] name = \"none\" trains in float");
    }
    std::string by;
    for (const int other : counts.overridden_by) {
      by += (by.empty() ? "" : ", ") + rule_name(rules_, other);
    }
    plan_.warnings.push_back({rule_name(rules_, index) + " is wholly overridden by " + by, index});
  }

  const Graph& graph_;
  const std::vector<MethodRule>& rules_;
  std::map<std::pair<int, Role>, Claim> claims_;
  std::vector<Counts> counts_;  ///< by rule
  KnownSigns signs_;
  std::vector<bool> non_negative_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Graph& graph, const std::vector<MethodRule>& rules, bool non_negative_image) {
  if (rules.empty()) return {};
  return Planner(graph, rules, non_negative_image).plan();
}

}  // namespace qhost
