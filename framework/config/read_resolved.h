/// config/read_resolved.h: reads the configuration of a run without computing with it.
#pragma once

#include <filesystem>

#include "config/experiment.h"
#include "config/load.h"

namespace qhost::config {

/// Reads a run's resolved.toml. A key that the file lacks has its default, since the file is older
/// than the key; this holds for the keys of the host and of each component in `catalog`. A
/// component that `catalog` lacks has the options that the file gives, since its plugin is not
/// installed here; so does a component that does not accept the file's values, since its version is
/// another one. load_experiment() refuses both. Throws Error (configuration) for any other mistake.
Experiment read_resolved(const std::filesystem::path& file, Catalog& catalog);

}  // namespace qhost::config
