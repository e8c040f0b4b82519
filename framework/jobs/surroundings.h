/// jobs/surroundings.h: the environment of a run: environment.json, and how machine, versions and
/// builds have changed when the run is resumed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "model/model.h"
#include "registry/registry.h"

namespace qhost::jobs {

/// The plugin files of the experiment's components.
std::vector<Registry::Loaded> plugins_of(const config::Experiment& experiment, Registry& registry);

/// The content of environment.json: storage::environment_facts and threads, device,
/// aten_cpu_capability, plugins: [{name, version, path, sha256}], insecure_plugins_allowed.
nlohmann::json surroundings(const config::Experiment& experiment, Registry& registry,
                            const ModelOptions& model,
                            const std::vector<std::string>& command_line);

/// "\n  libtorch: "2.11.0" then, "2.15.0" now" for each fact that may change the last bits of the
/// result. Plugin files of the installation are among them; other plugin files are part of the
/// run's identity (run_identity.h).
std::string changed_surroundings(const nlohmann::json& then, const nlohmann::json& now,
                                 const std::vector<Registry::Loaded>& plugins);

}  // namespace qhost::jobs
