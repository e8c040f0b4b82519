/// jobs/run.h: one experiment from its configuration to result.json: which run directory, new
/// or resumed, training, the final evaluation, the result.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/dataset.h"
#include "registry/registry.h"
#include "training/progress.h"

namespace qhost::jobs {

struct RunRequest {
  std::string runs_dir;  ///< "" = ./runs
  /// "": a new run. "auto": the newest run of this name that is the same (runs/run_identity.h),
  /// else a new one. Otherwise a run directory.
  std::string resume;
  /// Exactly this directory: made if it does not exist, else as resume.
  std::string run_dir;
  /// --continue: a new run that goes on from a checkpoint of this one (jobs/parent_run.h), ""
  /// for none; with `resume` = "auto" the child that there is by now. `checkpoint`: "" is its
  /// newest sound one, else "best" or a step.
  std::string continue_run, checkpoint;
  /// Goes on with a run although plugin files are others than it was begun with.
  bool allow_other_plugins = false;
  std::vector<std::string> command_line;
  /// With `resume` = "auto": a run that failed or diverged is left as it is.
  bool skip_failed = false;
  /// Goes into result.json besides what the run finds out: a sweep's label.
  nlohmann::json facts = nlohmann::json::object();
  /// What load_data() gave for this experiment, where the caller needed it too; null: it is loaded.
  const data::Dataset* data = nullptr;
};

struct RunResult {
  /// {status, run_dir, test_accuracy, test_loss, epochs, quantized_layers, weight_bytes, verified,
  /// ...}: as in result.json.
  nlohmann::json json;
  int exit_code = 0;
  bool was_finished = false;  ///< there was nothing to do: a finished run of this configuration
  bool was_skipped = false;   ///< one that had failed was left, as RunRequest::skip_failed says
};

/// Throws Error: configuration for a run of another configuration (with the differing keys) or one
/// that another process works on, data; Interrupted before there is a run. Once the run directory
/// exists, what ends the run is thrown as RunFailed (training/failure.h), whatever it was, and its
/// result.json has the status "failed", of divergence "diverged", and the reason. An interruption
/// is a result.
RunResult run_experiment(const config::Experiment& experiment, const RunRequest& request,
                         Registry& registry, training::Progress& progress);

/// The configuration that a run directory was made with.
config::Experiment experiment_of_run(const std::filesystem::path& run, Registry& registry);

}  // namespace qhost::jobs
