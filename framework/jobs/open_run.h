/// jobs/open_run.h: in which directory an experiment runs: a new one, or that of the run that
/// it is already.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "jobs/run.h"
#include "registry/registry.h"
#include "runs/run_directory.h"
#include "runs/run_identity.h"

namespace qhost::jobs {

/// What the experiment is computed from. `data` is null where it could not be loaded, for the
/// reason `no_data`. Reads the file that train.init_from names and opens the plugins.
runs::RunIdentity identity_of(const config::Experiment& experiment, Registry& registry,
                              const data::Dataset* data, const std::string& no_data);

struct FoundRun {
  /// Locked, where the experiment goes on with a run that exists; empty: it needs a new one.
  std::optional<runs::RunDirectory> directory;
  bool begun = false;     ///< it has a configuration or a checkpoint
  bool finished = false;  ///< there is nothing to do
  bool failed = false;    ///< it ended before its time: failed or diverged
  /// What was overridden, so far and now: sentences.
  nlohmann::json allowed = nlohmann::json::array();
  std::vector<std::string> notes;
};

/// Which existing run `request` means, by --run-dir and --resume; makes nothing. With `auto` the
/// newest run of the experiment's name with which `identity` agrees; where there is none but other
/// runs of that name, a note says which one is the nearest and what differs. Throws Error
/// (configuration) where the named run differs, with the differing keys, or is in use.
FoundRun find_run(const config::Experiment& experiment, const RunRequest& request,
                  const runs::RunIdentity& identity, Registry& registry);

/// "\n  SHA-256 of data/FILE: ... in the run, ... now" for each file of the data set and each
/// plugin file that is another one than the run in `directory` was made with; "" where none is.
std::string changed_files(const std::filesystem::path& directory,
                          const config::Experiment& experiment, Registry& registry,
                          const data::Dataset& data);

/// The directory for a new run: --run-dir, else below --runs-dir.
runs::RunDirectory make_run(const config::Experiment& experiment, const RunRequest& request);

}  // namespace qhost::jobs
