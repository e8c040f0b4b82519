/// report/compared_run.h: run directories as report/compare.h wants them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "config/load.h"
#include "report/compare.h"

namespace qhost::report {

/// The result_keys() of an experiment. A float run has "quantizer.0.name" = "none" in addition.
std::map<std::string, std::string> compared_keys(const config::Experiment& experiment);

/// The runs in these directories, `latest` too. Labels are name/id, or the whole path where two
/// would be equal. Keys that are newer than a run have
/// their defaults (config/read_resolved.h). Plugins are not required. Throws
/// Error: configuration for what is no run, has no configuration or is named twice; storage for a
/// result.json that cannot be read.
std::vector<ComparedRun> load_runs(const std::vector<std::filesystem::path>& directories,
                                   config::Catalog& catalog);

}  // namespace qhost::report
