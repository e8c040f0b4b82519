#include "jobs/surroundings.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "storage/environment.h"

namespace qhost::jobs {
namespace {

/// The entry of a plugin in environment.json's list; null if there is none of that name.
nlohmann::json plugin_in(const nlohmann::json& environment, const std::string& name) {
  for (const nlohmann::json& plugin : environment.value("plugins", nlohmann::json::array())) {
    if (plugin.value("name", "") == name) return plugin;
  }
  return nullptr;
}

/// Two builds of one version differ only in their hash.
std::string plugin_change(const nlohmann::json& then, const Registry::Loaded& now) {
  if (then.is_null() || then.value("sha256", "") == now.sha256) return "";
  const auto text = [](const std::string& version, const std::string& sha256) {
    constexpr std::size_t enough = 16;
    return "version " + version + " (SHA-256 " + sha256.substr(0, enough) + "...)";
  };
  return "\n  plugin " + now.name + ": " +
         text(then.value("version", "?"), then.value("sha256", "?")) + " then, " +
         text(now.version, now.sha256) + " now";
}

}  // namespace

std::vector<Registry::Loaded> plugins_of(const config::Experiment& experiment, Registry& registry) {
  std::vector<std::pair<std::string, std::string>> components = {
      {"architecture", experiment.model.name}};
  for (const config::QuantizerRule& rule : experiment.quantizers) {
    if (rule.method.name != "none") components.emplace_back("quantizer", rule.method.name);
  }
  return registry.files_of(components);
}

nlohmann::json surroundings(const config::Experiment& experiment, Registry& registry,
                            const ModelOptions& model,
                            const std::vector<std::string>& command_line) {
  storage::EnvironmentInput input;
  input.torch_version = TORCH_VERSION;
  input.command_line = command_line;
  input.experiment_folder = std::filesystem::absolute(experiment.file).parent_path();
  nlohmann::json facts = storage::environment_facts(input);
  facts["threads"] = at::get_num_threads();
  facts["device"] = c10::DeviceTypeName(model.device.type(), /*lower_case=*/true);
  facts["aten_cpu_capability"] = at::get_cpu_capability();
  facts["insecure_plugins_allowed"] = registry.insecure_allowed();
  facts["plugins"] = nlohmann::json::array();
  for (const Registry::Loaded& plugin : plugins_of(experiment, registry)) {
    facts["plugins"].push_back({{"name", plugin.name},
                                {"version", plugin.version},
                                {"path", plugin.path.string()},
                                {"sha256", plugin.sha256}});
  }
  return facts;
}

std::string changed_surroundings(const nlohmann::json& then, const nlohmann::json& now,
                                 const std::vector<Registry::Loaded>& plugins) {
  std::string text;
  for (const char* key : {"qhost", "commit", "libtorch", "device", "aten_cpu_capability"}) {
    const nlohmann::json old_value = then.value(key, nlohmann::json());
    const nlohmann::json new_value = now.value(key, nlohmann::json());
    if (old_value == new_value || old_value.is_null()) continue;
    text +=
        std::string("\n  ") + key + ": " + old_value.dump() + " then, " + new_value.dump() + " now";
  }
  for (const Registry::Loaded& plugin : plugins) {
    if (plugin.installed) text += plugin_change(plugin_in(then, plugin.name), plugin);
  }
  return text;
}

}  // namespace qhost::jobs
