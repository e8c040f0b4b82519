/// jobs/weight_zeros.h: counts the zeros in a trained network's weights, which the scoring rules of
/// report/score.h give credit for.
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

/// The number of nonzero weights by conv2d or linear node. For a quantized weight these are the
/// codes whose level is not 0 (for an ensemble the mean over its members, rounded up), for a float
/// weight the values. A weight that its method keeps in float at `position` is left out, since it
/// has no codes.
std::map<std::string, report::Sparsity> count_nonzero(Model& model, const RunPosition& position);

struct WeightZeros {
  std::map<std::string, report::Sparsity> by_node;
  /// Why the zeros are unknown: a sentence about the run, or the first line of the error.
  std::string unknown;
  std::vector<std::string> complaints;  ///< damaged checkpoints that were skipped
};

/// Counts the weights that `qhost eval` evaluates, as stored at the end of training. Runs on the
/// CPU, without the data set. Does not throw for weights that are missing, damaged or another
/// network's: the score can be computed without them.
WeightZeros zeros_of_run(const std::filesystem::path& run, const config::Experiment& experiment,
                         Registry& registry);

}  // namespace qhost::jobs
