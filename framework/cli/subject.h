/// cli/subject.h: what the argument EXPERIMENT|RUN names.
#pragma once

#include <vector>

#include "cli/arguments.h"
#include "config/load.h"
#include "registry/registry.h"

namespace qhost::cli {

/// The points of the experiment file, or the one of the run directory, which the first argument
/// names; the others are overrides. Throws Error as load_experiment_or_throw() and
/// experiment_of_run() do.
std::vector<config::SweepPoint> points_of(const Arguments& arguments, Registry& registry);

}  // namespace qhost::cli
