#include "config/resolver.h"

#include <algorithm>
#include <thread>

#include "common/near_match.h"
#include "common/utf8.h"
#include "config/diagnostic_codes.h"
#include "config/familiar_names.h"
#include "config/schema.h"

namespace qhost::config {
namespace {

/// The word for a component of [kind] in messages.
const char* noun(const std::string& kind) {
  if (kind == "data") return "data set";
  if (kind == "model") return "architecture";
  return kind == "quantizer" ? "quantizer" : kind == "optimizer" ? "optimizer" : "schedule";
}

std::string title_of(const std::string& table) {
  return '[' + table + ']';
}

Origin origin_of(const Span& key, const Value& value) {
  Origin origin;
  origin.kind = value.span.file == "command line" ? Origin::Kind::command_line : Origin::Kind::file;
  origin.key = key;
  origin.value = value.span;
  origin.overridden = value.overridden;
  return origin;
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '.' || c == '-';
         });
}

}  // namespace

Resolver::Resolver(const Table& root, bool complete, Catalog& catalog, Diagnostics& diagnostics)
    : root_(root), complete_(complete), catalog_(catalog), diagnostics_(diagnostics) {}

Experiment Resolver::resolve(const std::filesystem::path& file) {
  experiment_.file = file;
  build_directory();
  check_top_level();
  resolve_name();
  experiment_.data = resolve_component("data");
  experiment_.augment = resolve_plain("augment");
  experiment_.model = resolve_component("model");
  resolve_rules();
  experiment_.train = resolve_plain("train");
  experiment_.optimizer = resolve_component("optimizer");
  experiment_.schedule = resolve_component("schedule");
  experiment_.calibration = resolve_plain("calibration");
  resolve_paths();
  check_conflicts();
  if (experiment_.train.integer("threads") == 0) {
    // The bits of a result depend on the number of threads, so the experiment stores it.
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    experiment_.train.set("threads", static_cast<std::int64_t>(cores));
  }
  return std::move(experiment_);
}

void Resolver::build_directory() {
  for (const TableDeclaration& table : tables()) {
    directory_.add(title_of(table.name), table.options);
  }
  for (const auto& one : optimizers()) directory_.add("[optimizer]", one.options, one.name);
  for (const auto& one : schedules()) directory_.add("[schedule]", one.options, one.name);
  directory_.add_key("[sweep]", "points");
  directory_.add_key("[sweep]", "seeds");
  directory_.add_key("a point of [sweep]", "label");
  // Resolve only the chosen components, so that no other plugin is opened.
  for (const char* kind : {"data", "model"}) {
    const Entry* entry = root_.find(kind);
    const Table* table = entry == nullptr ? nullptr : entry->value.table();
    const Entry* name = table == nullptr ? nullptr : table->find("name");
    if (name == nullptr || name->value.string() == nullptr) continue;
    try {
      const auto* options = catalog_.find(kind, *name->value.string());
      if (options != nullptr) directory_.add(title_of(kind), *options);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::plugin) throw;
    }
  }
}

void Resolver::check_top_level() {
  std::vector<std::string> valid = {"name", "extends"};
  for (const TableDeclaration& table : tables()) valid.push_back(table.name);
  for (const Entry& entry : root_.entries) {
    if (entry.key == "extends") {
      Diagnostic diagnostic;
      diagnostic.code = code::unknown_key;
      diagnostic.message = "`extends` cannot stand here";
      diagnostic.primary.span = entry.key_span;
      diagnostic.helps.push_back("write extends = [...] at the top of an experiment file");
      diagnostics_.add(std::move(diagnostic));
    } else if (std::find(valid.begin(), valid.end(), entry.key) == valid.end()) {
      Diagnostic diagnostic = unknown_key(entry, "", "", valid, directory_);
      if (entry.value.table() != nullptr) {
        diagnostic.message = "unknown table " + title_of(escape_controls(entry.key));
      }
      diagnostics_.add(std::move(diagnostic));
    }
  }
}

void Resolver::resolve_name() {
  const Entry* entry = root_.find("name");
  std::string& name = experiment_.name;
  Diagnostic diagnostic;
  if (entry == nullptr) {
    name = experiment_.file.stem().string();
    diagnostic.primary.span.file = experiment_.file.string();
    diagnostic.message = "the file's name " + quote(name) + " cannot name the runs";
    diagnostic.helps.push_back("add name = \"...\" at the top of the file");
  } else if (entry->value.string() == nullptr) {
    diagnostic = wrong_type("name", "a string", entry->value);
    diagnostic.helps.push_back("write name = \"my_experiment\"");
    diagnostics_.add(std::move(diagnostic));
    return;
  } else {
    name = *entry->value.string();
    experiment_.origins_["name"] = origin_of(entry->key_span, entry->value);
    diagnostic.primary.span = entry->value.span;
    diagnostic.message = quote(name) + " cannot name the runs";
    add_overridden(diagnostic, entry->value);
  }
  if (valid_name(name)) return;
  diagnostic.code = code::bad_name;
  diagnostic.helps.push_back(
      "a name holds 1 to 100 letters, digits and the characters _ . - and starts with no . or -");
  diagnostics_.add(std::move(diagnostic));
}

const Table* Resolver::table_of(const Entry* entry) {
  if (entry == nullptr || entry->value.table() != nullptr) {
    return entry == nullptr ? nullptr : entry->value.table();
  }
  Diagnostic diagnostic = wrong_type(entry->key, "a table", entry->value);
  const TableDeclaration* declared = find_table(entry->key);
  if (declared != nullptr && declared->component && entry->value.string() != nullptr) {
    diagnostic.helps.push_back("write " + entry->key + ".name = " + value_text(entry->value));
  } else {
    diagnostic.helps.push_back("write [" + entry->key + "] on a line, its keys below");
  }
  add_overridden(diagnostic, entry->value);
  diagnostics_.add(std::move(diagnostic));
  return nullptr;
}

void Resolver::record(const std::string& path, const Table* given,
                      const std::vector<Option>& declared) {
  for (const Option& option : declared) {
    experiment_.part_of_result_[path + '.' + option.name()] = option.part_of_result();
  }
  if (given == nullptr) return;
  for (const Entry& entry : given->entries) {
    experiment_.origins_[path + '.' + entry.key] = origin_of(entry.key_span, entry.value);
  }
}

Options Resolver::resolve_plain(const std::string& name) {
  const Entry* entry = root_.find(name);
  TableCheck check;
  check.path = name;
  check.title = title_of(name);
  check.given = table_of(entry);
  check.declared = {&find_table(name)->options};
  check.complete = complete_;
  check.failed = &failed_;
  if (entry != nullptr) {
    check.where = entry->key_span;
    experiment_.origins_[name] = origin_of(entry->key_span, entry->value);
  }
  record(name, check.given, find_table(name)->options);
  return check_table(check, directory_, diagnostics_);
}

const std::vector<Option>* Resolver::find(const std::string& kind, const std::string& name) {
  if (kind == "optimizer") return find_optimizer(name);
  if (kind == "schedule") return find_schedule(name);
  static const std::vector<Option> no_options;
  if (kind == "quantizer" && name == "none") return &no_options;
  return catalog_.find(kind, name);
}

std::vector<std::string> Resolver::names(const std::string& kind) {
  std::vector<std::string> list;
  if (kind == "optimizer" || kind == "schedule") {
    for (const auto& known : kind == "optimizer" ? optimizers() : schedules()) {
      list.push_back(known.name);
    }
    return list;
  }
  list = catalog_.names(kind);
  if (kind == "quantizer") list.emplace_back("none");
  return list;
}

void Resolver::unknown_component(const std::string& kind, const std::string& name,
                                 const Value* value) {
  Diagnostic diagnostic;
  diagnostic.code = code::unknown_component;
  diagnostic.message = std::string("unknown ") + noun(kind) + ' ' + quote(name);
  const auto known = names(kind);
  auto near = near_matches(name, known);
  const std::string familiar = familiar_component(name);
  if (std::find(known.begin(), known.end(), familiar) != known.end()) near = {familiar};
  if (!near.empty()) diagnostic.helps.push_back("did you mean " + quote(near.front()) + '?');
  std::string list;
  for (const auto& one : known) list += (list.empty() ? "" : ", ") + one;
  diagnostic.notes.push_back("known: " + (list.empty() ? "none" : list));
  if (kind != "optimizer" && kind != "schedule") {
    const std::string where = catalog_.explain_missing(kind, name);
    if (!where.empty()) diagnostic.notes.push_back(where);
  }
  if (near.empty()) {
    diagnostic.helps.push_back(kind == "model" || kind == "quantizer"
                                   ? "`qhost list` shows what is installed; --plugin-path adds a "
                                     "folder"
                                   : "choose one of those");
  }
  if (value != nullptr) {
    diagnostic.primary.span = value->span;
    add_overridden(diagnostic, *value);
  }
  diagnostics_.add(std::move(diagnostic));
}

Options Resolver::component_options(const Place& place, const std::string& name, const Table* given,
                                    const Span& where, const std::vector<Option>* beside) {
  const std::string& kind = place.kind;
  const Entry* entry = given == nullptr ? nullptr : given->find("name");
  const std::vector<Option>* declared = nullptr;
  try {
    declared = find(kind, name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::plugin) throw;
    Diagnostic diagnostic;
    diagnostic.code = code::refused_plugin;
    const std::string text = error.what();
    const std::size_t end = text.find('\n');
    diagnostic.message = text.substr(0, end);
    if (end != std::string::npos) diagnostic.notes.push_back(text.substr(end + 1));
    diagnostic.primary.span = entry == nullptr ? where : entry->value.span;
    diagnostic.helps.push_back("`qhost list` shows every plugin and why it was refused");
    diagnostics_.add(std::move(diagnostic));
    return {};
  }
  if (declared == nullptr) {
    unknown_component(kind, name, entry == nullptr ? nullptr : &entry->value);
    return {};
  }
  TableCheck check;
  check.path = place.shown;
  check.title = title_of(kind);
  check.component = name;
  check.given = given;
  check.where = where;
  check.other_keys = {"name"};
  check.declared = {declared};
  check.complete = complete_;
  check.failed = &failed_;
  if (beside != nullptr) {
    for (const Option& option : *beside) check.other_keys.push_back(option.name());
  }
  record(place.path, given, *declared);
  return check_table(check, directory_, diagnostics_);
}

Component Resolver::resolve_component(const std::string& kind) {
  const Entry* entry = root_.find(kind);
  const Table* given = table_of(entry);
  Component component;
  component.name = find_table(kind)->default_component;
  if (entry != nullptr) {
    if (given == nullptr) return component;
    component.where = entry->key_span;
    experiment_.origins_[kind] = origin_of(entry->key_span, entry->value);
  }
  const Entry* name = given == nullptr ? nullptr : given->find("name");
  if (name != nullptr) {
    component.where = name->value.span;
    if (name->value.string() == nullptr) {
      Diagnostic diagnostic = wrong_type(kind + ".name", "a string", name->value);
      diagnostic.helps.push_back(std::string("name the ") + noun(kind));
      add_overridden(diagnostic, name->value);
      diagnostics_.add(std::move(diagnostic));
      return component;
    }
    component.name = *name->value.string();
  } else if (component.name.empty()) {
    if (!complete_) return component;
    Diagnostic diagnostic;
    diagnostic.code = code::missing_key;
    diagnostic.message = entry == nullptr ? "there is no " + title_of(kind) + " table"
                                          : title_of(kind) + " needs `name`";
    diagnostic.message += std::string(", which names the ") + noun(kind);
    diagnostic.primary.span = component.where;
    if (entry == nullptr) diagnostic.primary.span.file = experiment_.file.string();
    const auto known = names(kind);
    diagnostic.helps.push_back("write " + kind + ".name = \"" +
                               (known.empty() ? "NAME" : known.front()) + "\"");
    if (!known.empty()) {
      std::string list;
      for (const auto& one : known) list += (list.empty() ? "" : ", ") + one;
      diagnostic.notes.push_back("known: " + list);
    }
    diagnostics_.add(std::move(diagnostic));
    return component;
  }
  component.options =
      component_options({kind, kind, kind}, component.name, given, component.where, nullptr);
  return component;
}

}  // namespace qhost::config
