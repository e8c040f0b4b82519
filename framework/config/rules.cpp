// Reads [quantizer] and [[quantizer]], and checks what involves several keys: paths and conflicts.
#include <algorithm>
#include <functional>

#include "common/user_folders.h"
#include "config/diagnostic_codes.h"
#include "config/resolver.h"
#include "config/schema.h"

namespace qhost::config {
namespace {

const std::vector<Option>& rule_options() {
  return find_table("quantizer")->options;
}

/// The method's own keep_float. For an unusable method, component_options() has reported the error.
std::vector<std::string> own_keep_float(Catalog& catalog, const std::string& method) {
  try {
    if (catalog.find("quantizer", method) != nullptr) return catalog.default_keep_float(method);
  } catch (const Error&) {
  }
  return {};
}

/// An empty list of layers or roles is refused: it reads like "none", but would not mean it.
void check_not_empty(const Table& table, const std::string& path, Diagnostics& diagnostics) {
  for (const char* key : {"layers", "roles"}) {
    const Entry* entry = table.find(key);
    if (entry == nullptr || entry->value.array() == nullptr || !entry->value.array()->empty()) {
      continue;
    }
    Diagnostic diagnostic;
    diagnostic.code = code::out_of_range;
    diagnostic.message = quote(path + '.' + key) + ": an empty list selects nothing";
    diagnostic.primary.span = entry->value.span;
    diagnostic.helps.push_back(std::string("take ") + key +
                               " out to select all, or the rule to select nothing");
    add_overridden(diagnostic, entry->value);
    diagnostics.add(std::move(diagnostic));
  }
}

}  // namespace

void Resolver::resolve_rules() {
  const Entry* entry = root_.find("quantizer");
  if (entry == nullptr) return;
  Origin& origin = experiment_.origins_["quantizer"];
  origin.kind =
      entry->key_span.file == "command line" ? Origin::Kind::command_line : Origin::Kind::file;
  origin.key = origin.value = entry->key_span;
  const Array* list = entry->value.array();
  if (list == nullptr) {
    if (table_of(entry) == nullptr) return;
    QuantizerRule rule = resolve_rule(*entry, entry->value, 0);
    if (rule.method.name != "none") experiment_.quantizers.push_back(std::move(rule));
    return;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Value& value = (*list)[i];
    if (value.table() == nullptr) {
      Diagnostic diagnostic = wrong_type("quantizer." + std::to_string(i), "a table", value);
      diagnostic.helps.push_back("write one [[quantizer]] for each rule, its keys below");
      diagnostics_.add(std::move(diagnostic));
      continue;
    }
    experiment_.quantizers.push_back(resolve_rule(*entry, value, i));
  }
  // If all rules are `none`, there is no rule left that they could mask.
  const auto is_none = [](const QuantizerRule& rule) { return rule.method.name == "none"; };
  auto& rules = experiment_.quantizers;
  if (std::all_of(rules.begin(), rules.end(), is_none)) rules.clear();
}

QuantizerRule Resolver::resolve_rule(const Entry& entry, const Value& value, std::size_t index) {
  const std::string path = "quantizer." + std::to_string(index);
  const std::string shown = entry.value.array() == nullptr ? "quantizer" : path;
  const Table& given = *value.table();
  QuantizerRule rule;
  rule.method.name = "none";
  // An element of a [[quantizer]] list has a header of its own; its place is that of its first key.
  rule.where = entry.value.array() == nullptr ? entry.key_span : value.span;
  rule.method.where = rule.where;
  experiment_.origins_[path] = {Origin::Kind::file, rule.where, rule.where, value.overridden};
  const Entry* name = given.find("name");
  if (name == nullptr) {
    if (!complete_) return rule;
    Diagnostic diagnostic;
    diagnostic.code = code::missing_key;
    diagnostic.message = "[quantizer] needs `name`, which names the method";
    diagnostic.primary.span = rule.where;
    diagnostic.helps.push_back(
        "name a method, as in quantizer.name=bwn (`qhost list` shows them), or \"none\" for float");
    std::string known;
    for (const auto& one : names("quantizer")) known += (known.empty() ? "" : ", ") + one;
    diagnostic.notes.push_back("known: " + known);
    diagnostics_.add(std::move(diagnostic));
    return rule;
  }
  rule.method.where = name->value.span;
  if (name->value.string() == nullptr) {
    Diagnostic diagnostic = wrong_type(shown + ".name", "a string", name->value);
    diagnostic.helps.push_back("name the quantizer");
    diagnostics_.add(std::move(diagnostic));
    return rule;
  }
  rule.method.name = *name->value.string();
  rule.method.options = component_options({"quantizer", path, shown}, rule.method.name, &given,
                                          rule.where, &rule_options());

  TableCheck keys;  // checks the host's own keys of a rule; the method's keys were checked above
  Table own;
  for (const Option& option : rule_options()) {
    if (const Entry* key = given.find(option.name())) own.entries.push_back(*key);
  }
  keys.path = shown;
  keys.title = "[quantizer]";
  keys.given = &own;
  keys.declared = {&rule_options()};
  record(path, &own, rule_options());
  const Options options = check_table(keys, directory_, diagnostics_);
  check_not_empty(given, shown, diagnostics_);
  rule.layers = options.strings("layers");
  rule.roles = options.strings("roles");
  if (given.find("keep_float") != nullptr) {
    rule.keep_float = options.strings("keep_float");
  } else if (rule.method.name != "none") {
    rule.keep_float = own_keep_float(catalog_, rule.method.name);
  }
  for (const Entry& key : given.entries) rule.spans[key.key] = key.value.span;
  return rule;
}

void Resolver::resolve_paths() {
  resolve_path(experiment_.data.options, "data", "root");
  resolve_path(experiment_.train, "train", "init_from");
}

void Resolver::resolve_path(Options& options, const std::string& table, const std::string& key) {
  const auto given = options.values().find(key);
  if (given == options.values().end() || !std::holds_alternative<std::string>(given->second)) {
    return;
  }
  const std::filesystem::path path = with_home(std::get<std::string>(given->second));
  if (path.empty()) return;
  // A path in a file is relative to that file; a path in an argument is relative to the working
  // directory.
  const Origin origin = experiment_.origin(table + "." + key);
  std::filesystem::path folder;
  if (origin.kind == Origin::Kind::file) {
    folder = std::filesystem::path(origin.value.file).parent_path();
  }
  std::error_code error;
  const auto absolute = std::filesystem::absolute(folder / path, error);
  if (!error) options.set(key, absolute.lexically_normal().string());
}

void Resolver::conflict(const std::string& key, const std::string& other,
                        const std::string& message, const std::string& help) {
  if (failed_.count(key) != 0 || failed_.count(other) != 0) return;
  Diagnostic diagnostic = experiment_.diagnostic_at(key, message, {help}, code::conflict);
  const Origin origin = experiment_.origin(other);
  if (other != key && origin.kind != Origin::Kind::default_value) {
    diagnostic.secondary.push_back({origin.value, "does not go with this"});
  }
  diagnostics_.add(std::move(diagnostic));
}

void Resolver::check_conflicts() {
  const Options& train = experiment_.train;
  if (!train.strings("init_except").empty() && train.string("init_from").empty()) {
    conflict("train.init_except", "train.init_from",
             "`train.init_except` without train.init_from: every layer is drawn anyway",
             "name the weights of the other layers in train.init_from");
  }
  if (train.real("label_smoothing") > 0 && train.string("loss") == "squared_hinge") {
    conflict("train.label_smoothing", "train.loss",
             "`train.label_smoothing`: squared_hinge has no label smoothing",
             "set label_smoothing = 0 or loss = \"cross_entropy\"");
  }
  const Options& optimizer = experiment_.optimizer.options;
  if (optimizer.has("nesterov") && optimizer.boolean("nesterov") &&
      optimizer.real("momentum") == 0) {
    conflict("optimizer.nesterov", "optimizer.momentum",
             "`optimizer.nesterov` needs a momentum above 0",
             "set momentum = 0.9 or nesterov = false");
  }
  const Options& augment = experiment_.augment;
  const std::size_t means = augment.reals("mean").size(), stds = augment.reals("std").size();
  if (means != stds) {
    const bool mean = means != 0;
    conflict(mean ? "augment.mean" : "augment.std", mean ? "augment.std" : "augment.mean",
             "`augment.mean` has " + std::to_string(means) + " values, `augment.std` " +
                 std::to_string(stds),
             "give both, one value for each channel, or neither");
  }
  if (augment.string("whitening") != "none") {
    const auto refuse = [&](const char* key) {
      conflict(std::string("augment.") + key, "augment.whitening",
               std::string("`augment.") + key + "`: whitened images are not normalized by channel",
               "take it out, or set whitening = \"none\"");
    };
    if (!augment.boolean("normalize")) refuse("normalize");
    if (means != 0) refuse("mean");
    if (stds != 0) refuse("std");
  }
  const Options& schedule = experiment_.schedule.options;
  if (schedule.has("milestones")) {
    const auto& milestones = schedule.integers("milestones");
    const bool rising = std::adjacent_find(milestones.begin(), milestones.end(),
                                           std::greater_equal<>()) == milestones.end();
    if (milestones.empty() || !rising) {
      conflict("schedule.milestones", "schedule.milestones",
               milestones.empty() ? "`schedule.milestones` is empty"
                                  : "`schedule.milestones` do not rise",
               "list epochs, each later than the one before: milestones = [82, 123]");
    }
  }
}

}  // namespace qhost::config
