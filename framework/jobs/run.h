/// jobs/run.h: one experiment from its configuration to result.json: choice of the run directory
/// (new or resumed), training, final evaluation, result.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/dataset.h"
#include "registry/registry.h"
#include "runs/run_result.h"
#include "training/progress.h"

namespace qhost::jobs {

struct RunRequest {
  std::string runs_dir;  ///< "" = ./runs
  /// "": a new run. "auto": the newest run of this name with the same identity
  /// (runs/run_identity.h), else a new one. Any other value is a run directory.
  std::string resume;
  /// Exactly this directory: created if it does not exist, else resumed.
  std::string run_dir;
  /// --continue: a new run that continues from a checkpoint of this one (jobs/parent_run.h), "" for
  /// none; with `resume` = "auto" the child, if it already exists. `checkpoint`: "" is the newest
  /// intact one, else "best" or a step.
  std::string continue_run, checkpoint;
  /// Resumes a run even if its plugin files have changed.
  bool allow_other_plugins = false;
  std::vector<std::string> command_line;
  /// With `resume` = "auto": does not resume a run that failed or diverged.
  bool skip_failed = false;
  /// Fields of the result that are known before the run: the label of a sweep.
  runs::RunResult known;
  /// The result of load_data() for this experiment, if the caller needed it too; null: load it.
  const data::Dataset* data = nullptr;
};

struct RunOutcome {
  runs::RunResult result;  ///< the content of result.json
  int exit_code = 0;
  bool was_finished = false;  ///< the same run was already finished, so nothing was done
  bool was_skipped = false;   ///< a failed run was skipped, see RunRequest::skip_failed
};

/// Throws Error: configuration for a run with another configuration (with the differing keys) or in
/// use by another process; data; Interrupted before a run exists. Once the run directory exists,
/// any error is thrown as RunFailed (training/failure.h), and the result.json has the status
/// "failed" (after divergence "diverged") and the reason. An interruption is a normal result.
RunOutcome run_experiment(const config::Experiment& experiment, const RunRequest& request,
                          Registry& registry, training::Progress& progress);

/// The configuration of an existing run directory. `overrides`: at most data.root=FOLDER, the place
/// of its data set on this machine; throws Error (configuration) for another key.
config::Experiment experiment_of_run(const std::filesystem::path& run, Registry& registry,
                                     const std::vector<std::string>& overrides = {});

}  // namespace qhost::jobs
