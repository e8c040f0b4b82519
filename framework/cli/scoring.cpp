#include "cli/scoring.h"

#include <cmath>
#include <utility>

#include "jobs/assemble.h"
#include "jobs/weight_zeros.h"
#include "model/layer_plans.h"
#include "runs/run_identity.h"

namespace qhost::cli {

ScorableNetwork scorable_network(const config::Experiment& experiment, Registry& registry) {
  Graph graph = jobs::build_graph(experiment, registry);
  const Plan plan = jobs::build_plan(experiment, registry, graph);
  auto plans = layer_plans(graph, plan);
  return {.graph = std::move(graph),
          .plans = std::move(plans),
          .data_set = experiment.data.name,
          .sparsity = {},
          .why_dense = "before a training nobody knows them",
          .warnings = jobs::plan_warnings(experiment, plan)};
}

ScorableNetwork scorable_run(const std::filesystem::path& run, const config::Experiment& experiment,
                             Registry& registry) {
  ScorableNetwork network = scorable_network(experiment, registry);
  jobs::WeightZeros zeros = jobs::zeros_of_run(run, experiment, registry);
  network.sparsity = std::move(zeros.by_node);
  network.why_dense = std::move(zeros.unknown);
  for (const std::string& sentence : runs::read_allowed(run)) {
    network.warnings.push_back("warning: the run went on with " + sentence);
  }
  for (const std::string& complaint : zeros.complaints) {
    network.warnings.push_back("warning: " + complaint);
  }
  return network;
}

report::Score score(const ScorableNetwork& network, report::ScoreRequest request) {
  request.plans = network.plans;
  request.data_set = network.data_set;
  if (request.uniform && request.why_dense.empty() && network.why_dense.empty()) {
    request.why_dense = "the zeros of the run are those of its own bits";
  }
  if (request.why_dense.empty()) {
    request.sparsity = network.sparsity;
    request.why_dense = network.why_dense;
  }
  return report::score(network.graph, request);
}

std::optional<double> accuracy_in(const runs::RunResult& result) {
  const bool is_number = result.test_accuracy && std::isfinite(*result.test_accuracy);
  return is_number && !result.has_no_finite_loss() ? result.test_accuracy : std::nullopt;
}

}  // namespace qhost::cli
