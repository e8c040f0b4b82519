/// jobs/resume.h: chooses the directory of an experiment: a new one, or that of an existing run
/// to resume.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "jobs/run.h"
#include "registry/registry.h"
#include "runs/run_directory.h"
#include "runs/run_identity.h"

namespace qhost::jobs {

/// The identity of the experiment: all inputs of its computation. `data` is null if it could not be
/// loaded, with `no_data` as the reason. Reads the file of train.init_from and opens the plugins.
runs::RunIdentity identity_of(const config::Experiment& experiment, Registry& registry,
                              const data::Dataset* data, const std::string& no_data);

struct FoundRun {
  /// The locked directory of an existing run to resume; empty: a new one is needed.
  std::optional<runs::RunDirectory> directory;
  bool begun = false;     ///< it has a configuration or a checkpoint
  bool finished = false;  ///< there is nothing to do
  bool failed = false;    ///< it ended early: failed or diverged
  /// Sentences on the differences that were overridden, earlier and now.
  std::vector<std::string> allowed;
  std::vector<std::string> notes;
};

/// Finds the existing run that `request` means by --run-dir and --resume; creates nothing. With
/// `auto` it is the newest run of the experiment's name whose identity equals `identity`. If there
/// are only other runs of that name, a note names the nearest one and its differences. Throws Error
/// (configuration) if a run that was named differs (with the differing keys) or is in use.
FoundRun find_run(const config::Experiment& experiment, const RunRequest& request,
                  const runs::RunIdentity& identity, Registry& registry);

/// "\n  SHA-256 of data/FILE: ... in the run, ... now" for each file of the data set and each
/// plugin file that has changed since the run in `directory`; "" if none has.
std::string changed_files(const std::filesystem::path& directory,
                          const config::Experiment& experiment, Registry& registry,
                          const data::Dataset& data);

/// Creates the directory of a new run: --run-dir, else one below --runs-dir.
runs::RunDirectory make_run(const config::Experiment& experiment, const RunRequest& request);

}  // namespace qhost::jobs
