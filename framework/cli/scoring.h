/// cli/scoring.h: the network of an experiment, ready for report/score.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "qhost/graph.h"
#include "registry/registry.h"
#include "report/score.h"
#include "runs/run_result.h"

namespace qhost::cli {

struct ScorableNetwork {
  Graph graph;
  LayerPlans plans;
  std::string data_set;
  std::map<std::string, report::Sparsity> sparsity;  ///< of a run's weights
  std::string why_dense;                             ///< where `sparsity` is empty
  std::vector<std::string> warnings;  ///< of the plan, and damaged checkpoints passed over
};

/// No data is read. Throws Error as building the experiment's network does.
ScorableNetwork scorable_network(const config::Experiment& experiment, Registry& registry);

/// The network of the run in this directory, with the zeros among its weights.
ScorableNetwork scorable_run(const std::filesystem::path& run, const config::Experiment& experiment,
                             Registry& registry);

/// `request` with the network's plans, data set and zeros; with a `why_dense` of its own, or with
/// other bits than the network's, without the zeros.
report::Score score(const ScorableNetwork& network, report::ScoreRequest request);

/// The test accuracy of a result; empty if there is none or its test loss is not finite.
std::optional<double> accuracy_in(const runs::RunResult& result);

}  // namespace qhost::cli
