/// jobs/load_run.h: loads the network of a run with the weights of one of its checkpoints.
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
  std::filesystem::path checkpoint;  ///< the folder of the loaded weights
  std::unique_ptr<Model> model;
  RunPosition position;  ///< seed, epochs and step; the epoch depends on the data and is not set
};

/// `experiment` is the run's, with the device for the network; the call sets its number of threads.
/// `which` and `complaints` are those of find_checkpoint(). Throws Error as find_checkpoint() and
/// build_model() do, and (data) if the weights belong to another network.
LoadedRun load_run(const runs::RunDirectory& run, const config::Experiment& experiment,
                   Registry& registry, const std::string& which,
                   std::vector<std::string>& complaints);

/// The same on the CPU, wherever it was trained, in the last phase of its method: the one whose bits
/// the scores count and `qhost weights` writes.
LoadedRun load_last_phase(const runs::RunDirectory& run, config::Experiment experiment,
                          Registry& registry, const std::string& which,
                          std::vector<std::string>& complaints);

}  // namespace qhost::jobs
