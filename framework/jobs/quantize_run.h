/// jobs/quantize_run.h: applies a quantizer to a trained float network, without training.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "jobs/run.h"
#include "registry/registry.h"

namespace qhost::jobs {

struct QuantizeRequest {
  /// The directory of a finished float run, or an experiment file with `train.init_from`.
  std::filesystem::path source;
  std::string quantizer;
  /// KEY=VALUE: an option of the quantizer ("bits=4"), or a key with its table ("data.root=...").
  std::vector<std::string> overrides;
  RunRequest run;
};

/// Makes a run of 0 epochs: loads the weights, calibrates if the method needs it, quantizes and
/// evaluates. Its result.json also has {float_test_accuracy, float_test_loss} of the same weights
/// in float, and `quantizer`: its name and the options that are not the default. Throws Error:
/// configuration for a source that is already quantized or has no network; else as run_experiment.
RunOutcome quantize_run(const QuantizeRequest& request, Registry& registry,
                        training::Progress& progress);

}  // namespace qhost::jobs
