/// qhost describe: a component's options, as it declares them.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "common/near_match.h"
#include "config/schema.h"
#include "data/dataset.h"
#include "qhost/error.h"
#include "report/table.h"

namespace qhost::cli {
namespace {

struct Description {
  std::string kind, table, name, summary, paper;
  std::vector<Option> options;
  std::vector<std::string> notes;
};

std::vector<Description> find(Registry& registry, const std::string& name) {
  std::vector<Description> found;
  if (registry.has("architecture", name)) {
    const Architecture& a = registry.architecture(name);
    std::string sources;
    for (const StateDictKeyMap& names : a.published) {
      sources += (sources.empty() ? "reads the weights of: " : ", ") + names.source;
    }
    found.push_back({"architecture", "model", a.name, a.summary, a.paper, a.options, {}});
    if (!sources.empty()) found.back().notes.push_back(sources);
  }
  if (registry.has("quantizer", name)) {
    const QuantizerMethod& q = registry.quantizer(name);
    std::string roles, kept;
    for (const Role role : q.roles)
      roles += std::string(roles.empty() ? "" : ", ") + to_string(role);
    for (const std::string& layer : q.keep_float) kept += (kept.empty() ? "" : ", ") + layer;
    found.push_back(
        {"quantizer",
         "quantizer",
         q.name,
         q.summary,
         q.paper,
         q.options,
         {"quantizes: " + roles, "keep_float by default: " + (kept.empty() ? "nothing" : kept)}});
  }
  if (const data::DatasetInfo* set = data::find_dataset(name)) {
    found.push_back({"data",
                     "data",
                     set->name,
                     set->summary,
                     set->source,
                     set->options,
                     {"license: " + set->license}});
  }
  const auto host = [&](const char* kind, const std::vector<config::ComponentDeclaration>& list) {
    for (const auto& declared : list) {
      if (declared.name == name) {
        found.push_back({kind, kind, declared.name, declared.help, "", declared.options, {}});
      }
    }
  };
  host("optimizer", config::optimizers());
  host("schedule", config::schedules());
  if (const config::TableDeclaration* table = config::find_table(name)) {
    found.push_back({"table", table->name, table->name, table->help, "", table->options, {}});
  }
  return found;
}

nlohmann::json to_json(const Description& d) {
  nlohmann::json json = {{"kind", d.kind},       {"name", d.name},
                         {"summary", d.summary}, {"paper", d.paper},
                         {"notes", d.notes},     {"options", nlohmann::json::array()}};
  for (const Option& option : d.options) {
    json["options"].push_back(
        {{"name", option.name()},
         {"type", to_string(option.type())},
         {"default", option.default_value() ? nlohmann::json(to_string(*option.default_value()))
                                            : nlohmann::json()},
         {"range", option.range_text()},
         {"help", option.help()},
         {"paper", option.paper()}});
  }
  return json;
}

void print(const Description& d) {
  std::cout << d.kind << " " << d.name << ": " << d.summary << "\n";
  if (!d.paper.empty()) std::cout << d.paper << "\n";
  for (const std::string& note : d.notes) std::cout << note << "\n";
  if (d.options.empty()) {
    std::cout << "no options\n";
    return;
  }
  std::cout << "\n[" << d.table << "]\n";
  report::Table table({{"option"}, {"type"}, {"default"}, {"range"}, {"meaning"}});
  for (const Option& option : d.options) {
    std::string meaning = option.help();
    if (!option.paper().empty()) meaning += " (" + option.paper() + ")";
    table.add_row({option.name(), to_string(option.type()),
                   option.default_value() ? to_string(*option.default_value()) : "required",
                   option.range_text(), meaning});
  }
  std::cout << table.to_string();
}

Error unknown(Registry& registry, const std::string& name) {
  std::vector<std::string> names;
  std::string explanation;
  for (const char* kind : {"architecture", "quantizer"}) {
    explanation = registry.explain_missing(kind, name);
    if (explanation.starts_with("  its plugin was refused")) {
      return Error(ErrorKind::plugin,
                   std::string(kind) + " `" + name + "` cannot be used\n" + explanation);
    }
    for (const std::string& known : registry.names(kind)) names.push_back(known);
  }
  for (const auto& set : data::datasets()) names.push_back(set.name);
  for (const auto& declared : config::optimizers()) names.push_back(declared.name);
  for (const auto& declared : config::schedules()) names.push_back(declared.name);
  for (const auto& table : config::tables()) names.push_back(table.name);
  // Of a plugin's component it is known where it would lie; the names are those of all kinds.
  std::string text =
      "no component is called `" + name + "`\n" +
      explanation.substr(std::min(explanation.find("  searched:"), explanation.size()));
  std::string near;
  for (const std::string& match : near_matches(name, names)) {
    near += (near.empty() ? "did you mean `" : "` or `") + match;
  }
  text += "help: " + (near.empty() ? "`qhost list` shows all components" : near + "`?");
  return Error(ErrorKind::configuration, text);
}

int execute(Context& context, const Arguments& arguments) {
  const std::string name = arguments.positional().at(0);
  const std::vector<Description> found = find(context.registry, name);
  if (found.empty()) throw unknown(context.registry, name);
  if (arguments.flag("json")) {
    nlohmann::json list = nlohmann::json::array();
    for (const Description& d : found) list.push_back(to_json(d));
    std::cout << list.dump(2) << "\n";
    return 0;
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i != 0) std::cout << "\n";
    print(found[i]);
  }
  return 0;
}

}  // namespace

Command describe_command() {
  return {
      .name = "describe",
      .summary = "what a component, or a table of the experiment file, does and accepts",
      .arguments = "NAME",
      .details = "",
      .declare =
          [](ArgumentSpec& spec) { spec.flag("json", "as JSON").positional("component", 1, 1); },
      .execute = execute};
}

}  // namespace qhost::cli
