/// jobs/verify_run.h: proves that a packed network computes what a run's evaluation computes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/verify_program.h"
#include "registry/registry.h"
#include "training/progress.h"

namespace qhost::jobs {

/// The number of test images of a sample, evenly spaced over the set.
inline constexpr std::int64_t verify_sample = 256;

struct VerifyRequest {
  std::filesystem::path run;
  /// A packed file of that run, and its name. None: the run is packed, written to memory and read
  /// again.
  std::optional<packed::Program> program;
  std::filesystem::path file;
  std::string checkpoint = "selected";  ///< selected, last, best, or a step number
  std::vector<std::string> overrides;   ///< data.root=FOLDER alone
  bool sample = false;
};

struct VerifiedRun {
  Verification verification;
  std::filesystem::path checkpoint;
  std::int64_t file_bytes = 0;
  std::string kernels;  ///< "avx512"
};

/// Throws Error as load_run() and pack() do; data, without the test images; configuration, for a file
/// of another network.
VerifiedRun verify_run(const VerifyRequest& request, Registry& registry,
                       training::Progress& progress);

/// The images that are verified.
data::Split verified_images(const data::Split& split, bool sample);

}  // namespace qhost::jobs
