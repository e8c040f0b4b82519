#include "model/plan.h"

#include <algorithm>
#include <set>

#include "graph/fans.h"
#include "graph/non_negative.h"
#include "graph/selector.h"
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
      throw RuleError(rule, key,
                      "`" + text +
                          "` matches no layer of this network\nhelp: `qhost summary` "
                          "lists the layers' names");
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
                  "`" + rule.method + "` does not quantize role \"" + to_string(role) +
                      "\"\nhelp: it offers " + list_of(rule.offers));
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
    std::string why = Selector::why_invalid(layers);
    if (!why.empty() && layers.find('/') != std::string::npos) {
      why +=
          "\nhelp: a role of a layer is kept by `/weight`, `/input` or `/gradient` behind its "
          "selector";
    }
    if (!why.empty()) throw RuleError(index, "keep_float", why);
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

/// The batch norm that alone reads `node`, or -1.
int sole_batch_norm(const Graph& graph, const Node& node) {
  const std::vector<int> readers = graph.consumers(node.id);
  if (readers.size() != 1 || graph.node(readers[0]).op != Op::batch_norm) return -1;
  return readers[0];
}

std::string rule_name(const std::vector<MethodRule>& rules, int rule) {
  return "rule " + std::to_string(rule + 1) + " (" + rules[static_cast<std::size_t>(rule)].method +
         ")";
}

struct Claim {
  int rule = -1;
  bool kept_float = false;
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
    plan.warnings.push_back("`" + rule.method + "` has no levels below 0 for the inputs of " +
                            first_few(names, more.c_str()) +
                            ", which can be negative: all that is negative becomes 0. " +
                            (key.second.empty() ? "" : key.second + "; ") + "keep_float = [" +
                            keep_float + "] leaves these inputs in float");
  }
}

}  // namespace

RuleError::RuleError(int rule, std::string key, const std::string& message)
    : Error(ErrorKind::configuration, message), rule_(rule), key_(std::move(key)) {}
RuleError::~RuleError() = default;

const PlannedSlot* Plan::find(int node, Role role, int edge) const {
  for (const auto& slot : slots) {
    if (slot.node == node && slot.info.role == role && slot.info.edge == edge) return &slot;
  }
  return nullptr;
}

Plan make_plan(const Graph& graph, const std::vector<MethodRule>& rules, bool non_negative_image) {
  Plan plan;
  if (rules.empty()) return plan;

  // Which rule wins each (node, role); keep_float takes a node out of its own rule only.
  std::map<std::pair<int, Role>, Claim> claims;
  std::vector<std::set<int>> overridden_by(rules.size());
  for (int r = 0; r < static_cast<int>(rules.size()); ++r) {
    const MethodRule& rule = rules[static_cast<std::size_t>(r)];
    const std::set<int> layers = select(graph, r, "layers", rule.layers);
    const std::set<std::pair<int, Role>> kept = kept_float(graph, rule, r);
    const std::vector<Role>& roles = rule.roles.empty() ? rule.offers : rule.roles;
    for (const Role role : roles) {
      require_offered(rule, r, "roles", role);
      for (const int id : slot_candidates(graph, role)) {
        if (layers.count(id) == 0 || kept.contains({id, role})) continue;
        Claim& claim = claims[{id, role}];
        if (claim.rule >= 0) overridden_by[static_cast<std::size_t>(claim.rule)].insert(r);
        claim.rule = r;
      }
    }
  }

  KnownSigns signs = {.image = non_negative_image, .signed_edges = {}};
  std::vector<bool> non_negative = non_negative_nodes(graph, signs);
  std::vector<int> slots_of(rules.size(), 0), offered_to(rules.size(), 0);
  for (const auto& [key, claim] : claims) {  // by node, weight before input
    const Node& node = graph.node(key.first);
    const Role role = key.second;
    const MethodRule& rule = rules[static_cast<std::size_t>(claim.rule)];
    if (!rule.quantizer) continue;  // `none`: float, whatever an earlier rule says
    ++offered_to[static_cast<std::size_t>(claim.rule)];
    if (role == Role::gradient) {
      auto gradient = std::make_shared<PlannedGradient>();
      gradient->info = describe(graph, node, role, 0);
      gradient->node = node.id;
      gradient->method = rule.method;
      gradient->plugin = rule.plugin;
      gradient->quantizer = call_plugin(call_of(*gradient, "gradient"),
                                        [&] { return rule.quantizer->gradient(gradient->info); });
      if (!gradient->quantizer) continue;
      ++slots_of[static_cast<std::size_t>(claim.rule)];
      gradient->traits =
          call_plugin(call_of(*gradient, "traits"), [&] { return rule.quantizer->traits(); });
      plan.gradients.push_back(std::move(gradient));
      continue;
    }
    const int edges = role == Role::weight ? 1 : static_cast<int>(node.inputs.size());
    for (int edge = 0; edge < edges; ++edge) {
      PlannedSlot slot;
      slot.info = describe(graph, node, role, edge);
      slot.node = node.id;
      slot.rule = claim.rule;
      slot.method = rule.method;
      slot.plugin = rule.plugin;
      if (role == Role::weight) {
        slot.weight =
            call_plugin(call_of(slot, "weight"), [&] { return rule.quantizer->weight(slot.info); });
        if (!slot.weight) continue;
      } else {
        const int source = node.inputs[static_cast<std::size_t>(edge)];
        slot.info.non_negative = non_negative[static_cast<std::size_t>(source)];
        slot.input =
            call_plugin(call_of(slot, "input"), [&] { return rule.quantizer->input(slot.info); });
        if (!slot.input) continue;
        if (range_of(slot) == InputRange::signed_values) {
          try {
            slot.elision = elide_relu(graph, node, edge);
          } catch (const Error& error) {
            throw RuleError(claim.rule, "name",
                            "`" + rule.method + "` quantizes signed inputs: " + error.what());
          }
        }
      }
      slot.quantizer = rule.quantizer;
      slot.traits = call_plugin(call_of(slot, "traits"), [&] { return rule.quantizer->traits(); });
      if (role == Role::weight && slot.traits.fold_batch_norm) {
        slot.folded_batch_norm = sole_batch_norm(graph, node);
      }
      plan.ensemble_size = std::max(plan.ensemble_size, slot.traits.ensemble_size);
      plan.needs_calibration = plan.needs_calibration || slot.traits.needs_calibration;
      plan.bias_correction =
          plan.bias_correction || (role == Role::weight && slot.traits.bias_correction);
      ++slots_of[static_cast<std::size_t>(claim.rule)];
      if (role == Role::input && slot.info.non_negative && gives_signed_values(slot)) {
        // What an add of such edges gives is signed; later slots, of nodes behind it, must know.
        signs.signed_edges.emplace(node.id, edge);
        non_negative = non_negative_nodes(graph, signs);
      }
      plan.slots.push_back(std::move(slot));
    }
  }

  for (const PlannedSlot& slot : plan.slots) {
    if (!slot.elision) continue;
    for (const int between : slot.elision->through) {
      if (plan.find(between, Role::input) == nullptr) continue;
      plan.warnings.push_back(slot.info.node + " reads in front of the ReLU, past " +
                              graph.node(between).name +
                              ", whose own quantized input it does not see");
    }
  }

  warn_of_lost_signs(rules, plan);

  for (int r = 0; r < static_cast<int>(rules.size()); ++r) {
    if (slots_of[static_cast<std::size_t>(r)] != 0) continue;
    if (!rules[static_cast<std::size_t>(r)].quantizer) continue;
    const auto& others = overridden_by[static_cast<std::size_t>(r)];
    const int offered = offered_to[static_cast<std::size_t>(r)];
    if (offered > 0) {
      const std::string& method = rules[static_cast<std::size_t>(r)].method;
      throw RuleError(r, "name",
                      "`" + method + "` takes none of the " + std::to_string(offered) +
                          " slots that its rule selects: not of these layers and roles, or not "
                          "with these options\nhelp: `qhost describe " +
                          method + "`");
    }
    if (others.empty()) {
      throw RuleError(r, "layers",
                      "`" + rules[static_cast<std::size_t>(r)].method +
                          "` quantizes nothing: its layers, less keep_float, leave no slot that it "
                          "takes\nhelp: `qhost summary` lists the layers; [quantizer] name = "
                          "\"none\" trains in float");
    }
    std::string by;
    for (const int other : others) by += (by.empty() ? "" : ", ") + rule_name(rules, other);
    plan.warnings.push_back(rule_name(rules, r) + " is wholly overridden by " + by);
  }
  return plan;
}

}  // namespace qhost
