/// qhost list: every component that an experiment can name.
#include <iostream>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "common/version.h"
#include "config/schema.h"
#include "data/dataset.h"

namespace qhost::cli {
namespace {

std::vector<ComponentEntry> all_components(Registry& registry) {
  std::vector<ComponentEntry> entries = registry.list();
  const auto built_in = [&](const std::string& kind, const std::string& name,
                            const std::string& summary) {
    entries.push_back({kind, name, "built-in", version(), summary, {}});
  };
  for (const data::DatasetInfo& set : data::datasets()) built_in("data", set.name, set.summary);
  for (const auto& declared : config::optimizers()) {
    built_in("optimizer", declared.name, declared.help);
  }
  for (const auto& declared : config::schedules()) {
    built_in("schedule", declared.name, declared.help);
  }
  return entries;
}

report::Document document_of(const std::vector<ComponentEntry>& entries) {
  report::Table table("", {{"kind", "kind"},
                           {"name", "name"},
                           {"plugin", "plugin"},
                           {"version", "version"},
                           {"summary", "summary"},
                           {"file", ""}});
  for (const ComponentEntry& entry : entries) {
    table.add_row(
        {entry.kind, entry.name, entry.plugin, entry.version, entry.summary, entry.file.string()});
  }
  return report::Document(report::Document::Root::array).add(std::move(table));
}

int execute(Context& context, const Arguments& arguments) {
  print(document_of(all_components(context.registry)), arguments.flag("json"));
  // A refused plugin does not stop the list; it is reported beside it.
  for (const PluginStatus& plugin : context.registry.plugins()) {
    if (!plugin.usable) {
      std::cerr << "\nrefused: " << plugin.file.string() << "\n";
      for (const std::string& reason : plugin.reasons) std::cerr << "  " << reason << "\n";
    }
    for (const std::string& warning : plugin.warnings) {
      std::cerr << "warning: " << plugin.file.string() << ": " << warning << "\n";
    }
  }
  return 0;
}

}  // namespace

Command list_command() {
  return {.name = "list",
          .summary = "every network, quantizer, data set, optimizer and schedule",
          .arguments = "",
          .details = "Plugin files that were refused are named on stderr, with the reason.",
          .declare = [](ArgumentSpec& spec) { spec.flag("json", "as a JSON array"); },
          .execute = execute};
}

}  // namespace qhost::cli
