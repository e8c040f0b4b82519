/// jobs/export_run.h: a run as a packed network: what its trained network computes, in a file that
/// runs without LibTorch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "packed/program.h"
#include "registry/registry.h"
#include "runs/run_directory.h"

namespace qhost::jobs {

struct ExportRequest {
  std::filesystem::path run;
  std::string checkpoint = "selected";  ///< selected, last, best, or a step number
  std::filesystem::path file;           ///< to be written; empty: none is
  std::vector<std::string> overrides;   ///< data.root=FOLDER alone
};

struct ExportedRun {
  packed::Program program;
  std::filesystem::path checkpoint;  ///< the folder of the weights
  std::string sha256;                ///< of the file
  /// Damaged checkpoints that were skipped; that the run is not finished, or failed its proof.
  std::vector<std::string> complaints;
};

/// The same run gives the same bytes. A method with phases is taken in its last one, as the scores
/// take it. The data set is read only where its normalization is not known without it, or batch
/// norms are recalibrated. Throws Error as load_run() and pack() do; (data) where recalibration needs
/// images that are no longer those of the run; (storage) for a network beyond the limits of the
/// engine, and if the file cannot be written; (configuration) for a file that exists and is no packed
/// network, or that lies in a run.
ExportedRun export_run(const ExportRequest& request, Registry& registry);

/// What the packed file of this run and checkpoint says of itself. `tested`: the checkpoint is the one
/// that the run was tested with.
packed::Provenance provenance_of(const runs::RunDirectory& run,
                                 const config::Experiment& experiment, Registry& registry,
                                 const std::filesystem::path& checkpoint, bool tested);

}  // namespace qhost::jobs
