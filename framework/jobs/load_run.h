/// jobs/load_run.h: the network of a run, with the weights that one of its checkpoints holds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "model/model.h"
#include "registry/registry.h"
#include "runs/run_directory.h"

namespace qhost::jobs {

struct LoadedRun {
  std::filesystem::path checkpoint;  ///< the folder that the weights came from
  std::unique_ptr<Model> model;
  RunPosition position;  ///< seed, epochs and step; which epoch that is, depends on the data
};

/// `experiment` is the run's, on the device where the network is wanted; its number of threads is
/// set. `which` and `complaints` are those of find_checkpoint(). Throws Error as that does, as
/// build_model() does, and (data) when the weights are another network's.
LoadedRun load_run(const runs::RunDirectory& run, const config::Experiment& experiment,
                   Registry& registry, const std::string& which,
                   std::vector<std::string>& complaints);

}  // namespace qhost::jobs
