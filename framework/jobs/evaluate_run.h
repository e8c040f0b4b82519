/// jobs/evaluate_run.h: evaluates the weights of a run directory again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"
#include "training/evaluate.h"

namespace qhost::jobs {

struct EvaluationRequest {
  std::filesystem::path run;
  std::string checkpoint = "selected";  ///< selected, last, best, or a step number
  std::string split = "test";           ///< test, validation, train
  std::string device;                   ///< "" = the device of the run
  std::vector<std::string> overrides;   ///< data.root=FOLDER alone: the data set's place here
};

struct EvaluatedRun {
  training::EvaluationResult evaluation;
  std::filesystem::path checkpoint;  ///< the folder of the loaded weights
};

/// Notes damaged checkpoints that were skipped, and data that are not the run's. Throws Error:
/// configuration if the request does not fit the run, storage for damaged files, data for a missing
/// data set.
EvaluatedRun evaluate_run(const EvaluationRequest& request, Registry& registry,
                          training::Progress& progress);

}  // namespace qhost::jobs
