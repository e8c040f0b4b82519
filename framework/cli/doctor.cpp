/// qhost doctor: what this installation consists of, and what is wrong with it.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "data/where.h"
#include "model/device.h"
#include "model/facts.h"
#include "registry/search.h"
#include "storage/environment.h"

namespace qhost::cli {
namespace {

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// What this program is and runs on.
report::Facts facts_of(const nlohmann::json& environment) {
  const CudaState& cuda = cuda_state();
  const std::string torch_folder = torch_library_folder(), capability = cpu_capability();
  const auto threads = default_threads();
  report::Facts facts = report::members_of(environment);
  facts.text_column = 13;
  const std::vector<report::Fact> more = {
      {"", {}, "qhost", text_of(environment.at("qhost"))},
      {"torch_folder", torch_folder, "LibTorch",
       text_of(environment.at("libtorch")) + " in " + torch_folder},
      {"aten_cpu_capability", capability, "CPU",
       text_of(environment.at("cpu").at("model")) + ", " +
           text_of(environment.at("cpu").at("cores")) + " cores, ATen uses " + capability + ", " +
           std::to_string(threads) + " threads"},
      {"threads", threads},
      {"cuda",
       {{"usable", cuda.usable}, {"devices", cuda.devices}, {"why_not", cuda.why_not}},
       "GPU",
       cuda.usable ? std::to_string(cuda.devices) + " usable" : "none: " + cuda.why_not}};
  facts.facts.insert(facts.facts.end(), more.begin(), more.end());
  return facts;
}

report::List directories_of(const Registry& registry) {
  report::List list{"plugin_directories", {}};
  for (const SearchDirectory& directory : registry.directories()) {
    const std::string state = !directory.ignored.empty() ? ": ignored, " + directory.ignored
                              : directory.exists         ? ""
                                                         : ": does not exist";
    list.items.push_back({{{"path", directory.path.string()},
                           {"origin", directory.origin},
                           {"exists", directory.exists},
                           {"ignored", directory.ignored}},
                          directory.path.string() + " (" + directory.origin + ")" + state});
  }
  return list;
}

report::List plugins_of(const std::vector<PluginStatus>& plugins) {
  report::List list{"plugins", {}};
  for (const PluginStatus& plugin : plugins) {
    report::Item item{{{"file", plugin.file.string()},
                       {"name", plugin.name},
                       {"version", plugin.version},
                       {"usable", plugin.usable},
                       {"reasons", plugin.reasons},
                       {"warnings", plugin.warnings},
                       {"provides", plugin.provides}},
                      (plugin.usable ? "usable   " : "REFUSED  ") + plugin.name + " " +
                          plugin.version + "  " + plugin.file.string(),
                      plugin.reasons};
    for (const std::string& warning : plugin.warnings) {
      item.details.push_back("warning: " + warning);
    }
    list.items.push_back(std::move(item));
  }
  return list;
}

report::List sets_of(const std::vector<data::SetStatus>& sets) {
  report::List list{"data", {}};
  for (const data::SetStatus& set : sets) {
    const std::string state = data::to_string(set.state), folder = set.folder.string();
    list.items.push_back({{{"name", set.name}, {"state", state}, {"folder", folder}},
                          set.name + ": " + state + (folder.empty() ? "" : " in " + folder)});
  }
  return list;
}

int execute(Context& context, const Arguments& arguments) {
  storage::EnvironmentInput input;
  input.torch_version = torch_version();
  input.command_line = context.command_line;
  input.experiment_folder = std::filesystem::current_path();
  context.registry.list();  // opens every plugin, which finds what is wrong with it
  const std::vector<PluginStatus>& plugins = context.registry.plugins();
  const bool healthy = std::all_of(plugins.begin(), plugins.end(),
                                   [](const PluginStatus& plugin) { return plugin.usable; });
  report::Document document;
  document.begin_section().add(facts_of(storage::environment_facts(input)));
  document.begin_section()
      .add(report::Heading{"plugin folders, in search order"})
      .add(directories_of(context.registry));
  document.begin_section().add(report::Heading{"plugins"}).add(plugins_of(plugins));
  document.begin_section().add(report::Heading{"data sets"}).add(sets_of(data::where()));
  document.add(report::Facts{{{"healthy", healthy}}});
  print(document, arguments.flag("json"));
  return 0;
}

}  // namespace

Command doctor_command() {
  return {.name = "doctor",
          .summary = "versions, processor, GPU, plugin folders and files, data sets",
          .arguments = "",
          .details = "",
          .declare = [](ArgumentSpec& spec) { spec.flag("json", "as JSON"); },
          .execute = execute};
}

}  // namespace qhost::cli
