/// qhost plugin check: the conformance suite over a component or all of a plugin file.
#include <algorithm>

#include "cli/command.h"
#include "cli/output.h"
#include "common/near_match.h"
#include "conformance/conformance.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

namespace fs = std::filesystem;
using conformance::Finding;

/// The components of a plugin file, or those with that name.
std::vector<ComponentEntry> components_of(const std::string& word, Registry& given) {
  const bool is_file = word.find('/') != std::string::npos || word.ends_with(".so");
  std::vector<ComponentEntry> found;
  for (const ComponentEntry& entry : given.list()) {
    std::error_code error;
    if (is_file ? fs::equivalent(entry.file, word, error) : entry.name == word) {
      found.push_back(entry);
    }
  }
  if (!found.empty()) return found;
  if (!is_file) {
    std::vector<std::string> names = given.names("architecture");
    for (const std::string& name : given.names("quantizer")) names.push_back(name);
    const auto near = near_matches(word, names);
    throw Error(
        ErrorKind::configuration, "there is no architecture and no quantizer `" + word + "`",
        near.empty() ? "`qhost list` shows what there is; a file is written with its folder, "
                       "as build/" +
                           word + ".so"
                     : "did you mean `" + near.front() + "`?");
  }
  for (const PluginStatus& plugin : given.plugins()) {
    std::error_code error;
    if (plugin.usable || !fs::equivalent(plugin.file, word, error)) continue;
    std::string reasons;
    for (const std::string& reason : plugin.reasons) reasons += "\n  " + reason;
    throw Error(ErrorKind::plugin, word + " was refused:" + reasons);
  }
  throw Error(ErrorKind::configuration, "no plugin was found in " + word,
              "name a file that qhost_add_plugin() built");
}

std::vector<Finding> check(const ComponentEntry& entry, Registry& registry) {
  if (entry.kind == "architecture") {
    return conformance::check_architecture(registry.architecture(entry.name));
  }
  const QuantizerMethod& method = registry.quantizer(entry.name);
  std::vector<Finding> findings = conformance::check_quantizer(method);
  for (Finding& one : conformance::check_quantizer_in_network(method)) {
    findings.push_back(std::move(one));
  }
  return findings;
}

std::size_t failures(const std::vector<Finding>& findings) {
  return static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [](const Finding& finding) { return !finding.holds(); }));
}

report::Document document_of(const ComponentEntry& entry, const std::vector<Finding>& findings) {
  report::List list;
  for (const Finding& finding : findings) {
    const std::string failure =
        finding.check + " (" + finding.configuration + "): " + finding.failure;
    list.items.push_back({{{"kind", entry.kind},
                           {"name", entry.name},
                           {"check", finding.check},
                           {"configuration", finding.configuration},
                           {"holds", finding.holds()},
                           {"failure", finding.failure}},
                          finding.holds() ? "" : failure});
  }
  return report::Document(report::Document::Root::array)
      .add(report::Heading{entry.kind + " " + entry.name + ": " +
                           std::to_string(findings.size() - failures(findings)) + " of " +
                           std::to_string(findings.size()) + " checks hold"})
      .add(std::move(list));
}

int execute(Context& context, const Arguments& arguments) {
  const std::string word = arguments.positional().at(0);
  // A file is looked for in its own folder, whatever else is installed.
  const bool is_file = word.find('/') != std::string::npos || word.ends_with(".so");
  SearchOptions search;
  search.default_paths = false;
  search.allow_insecure = context.registry.insecure_allowed();
  if (is_file) {
    if (!fs::exists(word)) {
      throw Error(ErrorKind::configuration, word + " does not exist", "name a plugin's file");
    }
    search.plugin_paths.push_back(fs::absolute(word).parent_path());
  }
  Registry own(search);
  Registry& registry = is_file ? own : context.registry;

  DocumentStream documents(arguments.flag("json"));
  std::size_t failed = 0;
  for (const ComponentEntry& entry : components_of(word, registry)) {
    const std::vector<Finding> findings = check(entry, registry);
    failed += failures(findings);
    documents.add(document_of(entry, findings));
  }
  documents.finish();
  return failed == 0 ? 0 : static_cast<int>(ErrorKind::plugin);
}

}  // namespace

Command plugin_check_command() {
  return {
      .name = "plugin check",
      .summary = "try what every architecture and quantizer must do",
      .arguments = "NAME|FILE",
      .details =
          "NAME is a component of `qhost list`, FILE a plugin: all that it provides is checked.\n"
          "Exit code 3 when a check fails.",
      .declare =
          [](ArgumentSpec& spec) {
            spec.flag("json", "as JSON").positional("component or plugin file", 1, 1);
          },
      .execute = execute};
}

}  // namespace qhost::cli
