/// qhost describe: a component's options, as it declares them.
#include <algorithm>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "common/near_match.h"
#include "common/number_text.h"
#include "config/familiar_names.h"
#include "config/schema.h"
#include "data/dataset.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

struct Description {
  std::string kind, table, name, summary, paper;
  std::vector<Option> options;
  std::vector<std::string> notes;
};

/// What its names and shapes do not tell.
std::vector<std::string> notes_on(const StateDictKeyMap& names) {
  std::vector<std::string> notes;
  if (!names.mean.empty()) {
    notes.push_back(names.source + ": augment.mean = " + numbers_text(names.mean, 4) +
                    ", augment.std = " + numbers_text(names.deviation, 4));
  }
  if (!names.look_alikes.empty()) notes.push_back(names.source + ": " + names.look_alikes);
  return notes;
}

/// The names that `name` in this table can have; none for a table without a component.
std::vector<std::string> choices_of(Registry& registry, const std::string& table) {
  std::vector<std::string> names;
  if (table == "model") names = registry.names("architecture");
  if (table == "quantizer") {
    names = registry.names("quantizer");
    names.push_back("none");
  }
  for (const auto& set : data::datasets()) {
    if (table == "data") names.push_back(set.name);
  }
  for (const auto& declared : config::optimizers()) {
    if (table == "optimizer") names.push_back(declared.name);
  }
  for (const auto& declared : config::schedules()) {
    if (table == "schedule") names.push_back(declared.name);
  }
  return names;
}

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
    for (const StateDictKeyMap& names : a.published) {
      for (const std::string& note : notes_on(names)) found.back().notes.push_back(note);
    }
  }
  if (registry.has("quantizer", name)) {
    const QuantizerMethod& q = registry.quantizer(name);
    std::string roles, kept;
    for (const Role role : q.roles) {
      roles += std::string(roles.empty() ? "" : ", ") + to_string(role);
    }
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
    std::string names;
    for (const std::string& choice : choices_of(registry, table->name)) {
      names += (names.empty() ? "" : ", ") + choice;
    }
    if (!names.empty()) found.back().notes.push_back("name is one of: " + names);
  }
  return found;
}

/// All that a key behind "NAME." can belong to: a table and its components, or a component.
std::vector<Description> owners_of_keys(Registry& registry, const std::string& name) {
  const config::TableDeclaration* table = config::find_table(name);
  if (table == nullptr) return find(registry, name);
  std::vector<std::string> components = choices_of(registry, table->name);
  components.push_back(table->name);
  std::vector<Description> owners;
  for (const std::string& component : components) {
    for (Description& one : find(registry, component)) {
      if (one.table == table->name) owners.push_back(std::move(one));
    }
  }
  return owners;
}

/// TABLE.KEY or COMPONENT.KEY.
std::vector<Description> find_key(Registry& registry, const std::string& path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos) return {};
  const std::string key = path.substr(dot + 1);
  std::vector<Description> found = owners_of_keys(registry, path.substr(0, dot));
  for (Description& one : found) {
    std::erase_if(one.options, [&](const Option& option) { return option.name() != key; });
    one.notes.clear();
  }
  std::erase_if(found, [](const Description& one) { return one.options.empty(); });
  return found;
}

/// "train.epochs" for "train.epoch"; "" if no such key is near.
std::string nearest_key(Registry& registry, const std::string& path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos) return "";
  const std::string owner = path.substr(0, dot);
  std::vector<std::string> keys;
  for (const Description& one : owners_of_keys(registry, owner)) {
    for (const Option& option : one.options) keys.push_back(option.name());
  }
  const auto near = near_matches(path.substr(dot + 1), keys);
  return near.empty() ? "" : owner + "." + near.front();
}

/// The keys of a component that was named with one that it does not have; "" for other words.
std::string keys_text(Registry& registry, const std::string& path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos || config::find_table(path.substr(0, dot))) return "";
  std::string keys;
  for (const Description& one : find(registry, path.substr(0, dot))) {
    for (const Option& option : one.options) keys += (keys.empty() ? "" : ", ") + option.name();
  }
  return keys.empty() ? "" : "`" + path.substr(0, dot) + "` has the options " + keys;
}

report::Table option_table(const std::vector<Option>& options) {
  report::Table table("options", {{"name", "option"},
                                  {"type", "type"},
                                  {"default", "default"},
                                  {"range", "range"},
                                  {"help", ""},
                                  {"paper", ""},
                                  {"", "meaning"}});
  for (const Option& option : options) {
    const auto& value = option.default_value();
    table.add_row({option.name(), to_string(option.type()),
                   value ? report::Cell(to_string(*value)) : report::Cell(nullptr, "required"),
                   option.range_text(), option.help(), option.paper(),
                   option.help() + (option.paper().empty() ? "" : " (" + option.paper() + ")")});
  }
  return table;
}

report::Document document_of(const Description& d) {
  report::Document document;
  document.add(report::Facts{{{"kind", d.kind, "", d.kind + " " + d.name + ": " + d.summary},
                              {"name", d.name},
                              {"summary", d.summary},
                              {"paper", d.paper, "", d.paper},
                              {"notes", d.notes}}});
  for (const std::string& note : d.notes) document.add(report::Paragraph{note});
  report::Table options = option_table(d.options);
  if (d.options.empty()) {
    document.add(report::Paragraph{"no options"});
    options.restrict_to(report::Form::json);
  } else {
    document.begin_section().add(report::Heading{"[" + d.table + "]"});
  }
  return document.add(std::move(options));
}

report::Document document_of(const std::vector<Description>& descriptions) {
  report::Parts parts;
  for (const Description& one : descriptions) parts.documents.push_back(document_of(one));
  return report::Document(report::Document::Root::array).add(std::move(parts));
}

Error unknown(Registry& registry, const std::string& name) {
  std::vector<std::string> names;
  Explanation explanation;
  for (const char* kind : {"architecture", "quantizer"}) {
    explanation = registry.explain_missing(kind, name);
    if (!explanation.helps.empty()) {  // a plugin that was refused provides it
      return {ErrorKind::plugin,
              std::string(kind) + " `" + name + "` cannot be used\n" + explanation.text()};
    }
    for (const std::string& known : registry.names(kind)) names.push_back(known);
  }
  for (const auto& set : data::datasets()) names.push_back(set.name);
  for (const auto& declared : config::optimizers()) names.push_back(declared.name);
  for (const auto& declared : config::schedules()) names.push_back(declared.name);
  for (const auto& table : config::tables()) names.push_back(table.name);
  // The folders searched are those of plugins; the names below are of all kinds.
  const std::string& lines = explanation.lines;
  std::vector<std::string> matches = near_matches(name, names);
  if (const std::string known = config::familiar_component(name); !known.empty()) {
    matches = {known};
  } else if (const std::string key = config::familiar_key(name); !key.empty()) {
    matches = {key};
  } else if (const std::string near_key = nearest_key(registry, name); !near_key.empty()) {
    matches = {near_key};
  }
  std::string near;
  for (const std::string& match : matches) {
    near += (near.empty() ? "did you mean `" : "` or `") + match;
  }
  const std::string keys = keys_text(registry, name);
  if (near.empty() && !keys.empty()) {
    return {ErrorKind::configuration, "no option is called `" + name + "`", keys};
  }
  return {ErrorKind::configuration,
          "no component is called `" + name + "`\n" +
              lines.substr(std::min(lines.find("  searched:"), lines.size())),
          near.empty() ? "`qhost list` shows all components" : near + "`?"};
}

int execute(Context& context, const Arguments& arguments) {
  const std::string name = arguments.positional().at(0);
  std::vector<Description> found = find(context.registry, name);
  if (found.empty()) found = find_key(context.registry, name);
  if (found.empty()) throw unknown(context.registry, name);
  print(document_of(found), arguments.flag("json"));
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
