/// qhost doctor: what this installation consists of, and what is wrong with it.
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "data/where.h"
#include "model/device.h"
#include "model/facts.h"
#include "registry/search.h"
#include "storage/environment.h"

namespace qhost::cli {
namespace {

int execute(Context& context, const Arguments& arguments) {
  storage::EnvironmentInput input;
  input.torch_version = torch_version();
  input.command_line = context.command_line;
  input.experiment_folder = std::filesystem::current_path();
  nlohmann::json facts = storage::environment_facts(input);
  facts["torch_folder"] = torch_library_folder();
  facts["aten_cpu_capability"] = cpu_capability();
  facts["threads"] = default_threads();
  const CudaState& cuda = cuda_state();
  facts["cuda"] = {{"usable", cuda.usable}, {"devices", cuda.devices}, {"why_not", cuda.why_not}};
  facts["plugin_directories"] = nlohmann::json::array();
  for (const SearchDirectory& directory : context.registry.directories()) {
    facts["plugin_directories"].push_back({{"path", directory.path.string()},
                                           {"origin", directory.origin},
                                           {"exists", directory.exists},
                                           {"ignored", directory.ignored}});
  }
  context.registry.list();  // opens them all, so that every gate has its say
  facts["plugins"] = nlohmann::json::array();
  bool healthy = true;
  for (const PluginStatus& plugin : context.registry.plugins()) {
    healthy = healthy && plugin.usable;
    facts["plugins"].push_back({{"file", plugin.file.string()},
                                {"name", plugin.name},
                                {"version", plugin.version},
                                {"usable", plugin.usable},
                                {"reasons", plugin.reasons},
                                {"warnings", plugin.warnings},
                                {"provides", plugin.provides}});
  }
  facts["data"] = nlohmann::json::array();
  for (const data::SetStatus& set : data::where()) {
    facts["data"].push_back({{"name", set.name},
                             {"state", data::to_string(set.state)},
                             {"folder", set.folder.string()}});
  }
  facts["healthy"] = healthy;
  if (arguments.flag("json")) {
    std::cout << facts.dump(2) << "\n";
    return 0;
  }
  const auto text = [&](const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  std::cout << "qhost        " << text(facts["qhost"]) << "\n"
            << "LibTorch     " << text(facts["libtorch"]) << " in " << text(facts["torch_folder"])
            << "\n"
            << "CPU          " << text(facts["cpu"]["model"]) << ", " << text(facts["cpu"]["cores"])
            << " cores, ATen uses " << text(facts["aten_cpu_capability"]) << ", "
            << text(facts["threads"]) << " threads\n"
            << "GPU          "
            << (cuda.usable ? std::to_string(cuda.devices) + " usable" : "none: " + cuda.why_not)
            << "\n\nplugin folders, in search order\n";
  for (const SearchDirectory& directory : context.registry.directories()) {
    std::cout << "  " << directory.path.string() << " (" << directory.origin << ")"
              << (directory.ignored.empty() ? directory.exists ? "" : ": does not exist"
                                            : ": ignored, " + directory.ignored)
              << "\n";
  }
  std::cout << "\nplugins\n";
  for (const PluginStatus& plugin : context.registry.plugins()) {
    std::cout << "  " << (plugin.usable ? "usable   " : "REFUSED  ") << plugin.name << " "
              << plugin.version << "  " << plugin.file.string() << "\n";
    for (const std::string& reason : plugin.reasons) std::cout << "    " << reason << "\n";
    for (const std::string& warning : plugin.warnings) {
      std::cout << "    warning: " << warning << "\n";
    }
  }
  std::cout << "\ndata sets\n";
  for (const auto& set : facts["data"]) {
    std::cout << "  " << text(set["name"]) << ": " << text(set["state"])
              << (text(set["folder"]).empty() ? "" : " in " + text(set["folder"])) << "\n";
  }
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
