/// cli/sweep.h: the points of an experiment file, one after the other.
#pragma once

#include "config/load.h"
#include "jobs/run.h"
#include "registry/registry.h"

namespace qhost::cli {

/// Runs every point and prints the table, with `json` a line for each and for all. In a sweep a
/// point that fails, however it does, becomes a row and the others run; a signal ends the sweep.
/// Returns the exit code: 75 after a signal, else that of the first point that failed. The one run
/// of a file without [sweep] throws what went wrong.
int run_points(const config::LoadResult& loaded, const jobs::RunRequest& request,
               Registry& registry, bool json);

}  // namespace qhost::cli
