/// jobs/export_run.h: a run as a packed network: what its trained network computes, in a file that
/// runs without LibTorch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "packed/program.h"
#include "registry/registry.h"

namespace qhost::jobs {

struct ExportRequest {
  std::filesystem::path run;
  std::string checkpoint = "selected";  ///< selected, last, best, or a step number
  std::filesystem::path file;           ///< to be written; empty: none is
};

struct ExportedRun {
  packed::Program program;
  std::filesystem::path checkpoint;     ///< the folder of the weights
  std::string sha256;                   ///< of the file
  std::vector<std::string> complaints;  ///< damaged checkpoints that were skipped
};

/// The same weights give the same bytes (docs/packed-format.md). A method with phases is taken in
/// its last one, as the scores take it. The data set is read only where its normalization is not
/// known without it. Throws Error as load_run() and pack() do, and (storage) if the file cannot be
/// written.
ExportedRun export_run(const ExportRequest& request, Registry& registry);

}  // namespace qhost::jobs
