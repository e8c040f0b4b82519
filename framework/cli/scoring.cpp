#include "cli/scoring.h"

#include <utility>

#include "training/assemble.h"

namespace qhost::cli {

ScorableNetwork scorable_network(const config::Experiment& experiment, Registry& registry) {
  Graph graph = training::build_graph(experiment, registry);
  const Plan plan = training::build_plan(experiment, registry, graph);
  auto plans = training::layer_plans(graph, plan);
  return {.graph = std::move(graph),
          .plans = std::move(plans),
          .data_set = experiment.data.name,
          .warnings = plan.warnings};
}

report::Score score(const ScorableNetwork& network, report::ScoreRequest request) {
  request.plans = network.plans;
  request.data_set = network.data_set;
  return report::score(network.graph, request);
}

std::optional<double> accuracy_in(const nlohmann::json& result) {
  const auto accuracy = result.find("test_accuracy");
  if (accuracy == result.end() || !accuracy->is_number()) return std::nullopt;
  return accuracy->get<double>();
}

}  // namespace qhost::cli
