/// cli/scoring.h: the network of an experiment, ready for report/score.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "qhost/graph.h"
#include "registry/registry.h"
#include "report/score.h"

namespace qhost::cli {

struct ScorableNetwork {
  Graph graph;
  std::map<std::string, report::LayerPlan> plans;
  std::string data_set;
  std::vector<std::string> warnings;  ///< of the plan
};

/// No data is read. Throws Error as building the experiment's network does.
ScorableNetwork scorable_network(const config::Experiment& experiment, Registry& registry);

/// `request` with the network's plans and data set.
report::Score score(const ScorableNetwork& network, report::ScoreRequest request);

/// The test accuracy that a result.json holds.
std::optional<double> accuracy_in(const nlohmann::json& result);

}  // namespace qhost::cli
