#include "training/requirements.h"

#include <algorithm>

#include "qhost/error.h"

namespace qhost::training {
namespace {

[[noreturn]] void refuse_recalibration(const config::Experiment& experiment,
                                       const std::string& why) {
  throw Error(
      ErrorKind::configuration,
      "train.bn_recalibrate = " + std::to_string(experiment.train.integer("bn_recalibrate")) +
          ": " + why + "\nhelp: set train.bn_recalibrate = 0");
}

void require_batch_norms(const config::Experiment& experiment, const Graph& graph,
                         const Plan& plan) {
  if (experiment.train.integer("bn_recalibrate") == 0) return;
  for (const PlannedSlot& slot : plan.slots) {
    if (!slot.weight || slot.folded_batch_norm < 0) continue;
    refuse_recalibration(experiment, "`" + slot.method + "` folds batch norms into the weights (" +
                                         graph.node(slot.folded_batch_norm).name + " into " +
                                         slot.info.node +
                                         "), which leaves no statistics to take anew");
  }
  const auto& nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [](const Node& node) { return node.op == Op::batch_norm; })) {
    refuse_recalibration(experiment, "the network has no batch norm");
  }
}

void require_correctable(const config::Experiment& experiment, const Plan& plan) {
  if (!plan.bias_correction) return;
  const std::int64_t epochs = experiment.train.integer("epochs");
  const auto slot = std::find_if(plan.slots.begin(), plan.slots.end(), [](const PlannedSlot& each) {
    return each.weight && each.traits.bias_correction;
  });
  if (plan.members > 1) {
    throw Error(ErrorKind::configuration,
                "`" + slot->method + "` corrects biases, and the network is evaluated as " +
                    std::to_string(plan.members) +
                    " networks, of which each would need a correction of its own\n"
                    "help: set bias_correction = false, or evaluate one network");
  }
  if (epochs == 0) return;
  throw Error(ErrorKind::configuration,
              "`" + slot->method + "` corrects biases for the weights that it is given, and " +
                  "train.epochs = " + std::to_string(epochs) +
                  " trains them further\nhelp: `qhost quantize RUN " + slot->method +
                  "` takes a trained network as it is (so does train.epochs = 0 with "
                  "train.init_from); or set bias_correction = false");
}

}  // namespace

void require_possible(const config::Experiment& experiment, const Graph& graph, const Plan& plan) {
  require_batch_norms(experiment, graph, plan);
  require_correctable(experiment, plan);
}

}  // namespace qhost::training
