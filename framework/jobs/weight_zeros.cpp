#include "jobs/weight_zeros.h"

#include <set>

#include "common/lines.h"
#include "jobs/load_run.h"
#include "runs/checkpoint.h"
#include "runs/run_directory.h"

namespace qhost::jobs {
namespace {

bool keeps_weights(const runs::RunDirectory& run) {
  std::error_code error;
  return !runs::checkpoint_steps(run.checkpoints()).empty() ||
         std::filesystem::exists(run.checkpoints() / "best", error);
}

std::map<std::string, report::Sparsity> count(const runs::RunDirectory& run,
                                              const config::Experiment& experiment,
                                              Registry& registry,
                                              std::vector<std::string>& complaints) {
  LoadedRun loaded = load_last_phase(run, experiment, registry, "selected", complaints);
  return count_nonzero(*loaded.model, loaded.position);
}

}  // namespace

std::map<std::string, report::Sparsity> count_nonzero(Model& model, const RunPosition& position) {
  std::set<std::string> planned;
  for (const PlannedSlot& slot : model.plan().slots) {
    if (slot.weight) planned.insert(slot.info.node);
  }
  const InferenceGraph graph = model.inference_graph(position);
  std::map<std::string, report::Sparsity> by_node;
  for (const InferenceNode& node : graph.nodes) {
    const bool rests_as_float = node.method.empty() && planned.contains(node.name);
    if (!node.has_weight() || rests_as_float) continue;
    by_node[node.name].nonzero = qhost::count_nonzero(*graph.tensor(node, "weight"));
  }
  return by_node;
}

WeightZeros zeros_of_run(const std::filesystem::path& run, const config::Experiment& experiment,
                         Registry& registry) {
  WeightZeros result;
  try {
    const runs::RunDirectory directory = runs::RunDirectory::open(run);
    if (keeps_weights(directory)) {
      result.by_node = count(directory, experiment, registry, result.complaints);
    } else {
      result.unknown = "the run keeps no weights";
    }
  } catch (const std::exception& error) {  // JSON, LibTorch and plugins have their own types
    result.unknown = "they are unknown, " + first_line(error.what());
  }
  return result;
}

}  // namespace qhost::jobs
