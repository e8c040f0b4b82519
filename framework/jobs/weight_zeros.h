/// jobs/weight_zeros.h: how many of a trained network's weights are exactly 0, which the
/// scoring rules of report/score.h give credit for.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "model/model.h"
#include "registry/registry.h"
#include "report/score.h"

namespace qhost::jobs {

/// By conv2d or linear node: of a quantized weight the codes whose level is not 0 (of several
/// members their mean, rounded up), of a float one the values. A weight that its method leaves
/// float at `position` is left out: its codes do not exist.
std::map<std::string, report::Sparsity> count_nonzero(Model& model, const RunPosition& position);

struct WeightZeros {
  std::map<std::string, report::Sparsity> by_node;
  /// Why nothing is known of them: a sentence about the run, or the first line of what went wrong.
  std::string unknown;
  std::vector<std::string> complaints;  ///< damaged checkpoints that were passed over
};

/// Of the weights that `qhost eval` evaluates, as they are stored at the end of the training. On
/// the CPU, without the data set. Does not throw for weights that are missing, damaged or another
/// network's: a score is possible without.
WeightZeros zeros_of_run(const std::filesystem::path& run, const config::Experiment& experiment,
                         Registry& registry);

}  // namespace qhost::jobs
