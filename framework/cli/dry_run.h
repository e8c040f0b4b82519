/// cli/dry_run.h: `qhost run --dry-run`.
#pragma once

#include <string>
#include <vector>

#include "config/load.h"
#include "jobs/run.h"
#include "registry/registry.h"

namespace qhost::cli {

/// Checks every point as run_experiment() would before its first step, and prints the warnings and
/// how many runs there are to stderr. Throws Error with all that is wrong, data that is not there
/// last; its kind is that of the first.
void dry_run(const std::string& file, const std::vector<config::SweepPoint>& points,
             const jobs::RunRequest& request, Registry& registry);

}  // namespace qhost::cli
