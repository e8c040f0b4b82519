/// jobs/quantize_run.h: a quantizer applied to a trained float network, without training.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "jobs/run.h"
#include "registry/registry.h"

namespace qhost::jobs {

struct QuantizeRequest {
  /// A finished float run, or an experiment file with `train.init_from`.
  std::filesystem::path source;
  std::string quantizer;
  /// KEY=VALUE: options of the quantizer ("bits=4"), or with a table in front ("data.root=...").
  std::vector<std::string> overrides;
  RunRequest run;
};

/// Makes a run of no epoch: the weights loaded, calibrated where the method wants it, quantized,
/// evaluated. Its result.json also holds {float_test_accuracy, float_test_loss}: those of the same
/// weights in float; and `quantizer`: its name and the options that are not the default. Throws
/// Error: configuration for a source that is quantized already or no network at all; else as
/// run_experiment.
RunResult quantize_run(const QuantizeRequest& request, Registry& registry,
                       training::Progress& progress);

}  // namespace qhost::jobs
