#include "jobs/requirements.h"

#include <algorithm>
#include <vector>

#include "data/augment.h"
#include "qhost/error.h"
#include "runtime/isa.h"

namespace qhost::jobs {
namespace {

using Faults = std::vector<config::Diagnostic>;

void refuse_recalibration(const config::Experiment& experiment, const std::string& why,
                          Faults& faults) {
  faults.push_back(experiment.diagnostic_at(
      "train.bn_recalibrate",
      "train.bn_recalibrate = " + std::to_string(experiment.train.integer("bn_recalibrate")) +
          ": " + why,
      {"set train.bn_recalibrate = 0"}));
}

/// Checks crop, cutout and normalization against the network's input.
void require_augmentation(const config::Experiment& experiment, const Shape& image,
                          Faults& faults) {
  data::Dataset set;
  set.image = image;
  set.mean.assign(static_cast<std::size_t>(image.channels()), 0.0F);
  set.std.assign(static_cast<std::size_t>(image.channels()), 1.0F);
  try {
    const data::Augmenter all(image, data::augment_options(experiment.augment, set));
  } catch (const OptionError& error) {
    faults.push_back(experiment.diagnostic_for("augment", error));
  }
}

void require_batch_norms(const config::Experiment& experiment, const Graph& graph, const Plan& plan,
                         Faults& faults) {
  if (experiment.train.integer("bn_recalibrate") == 0) return;
  for (const PlannedSlot& slot : plan.slots) {
    if (!slot.weight || slot.folded_batch_norm < 0) continue;
    refuse_recalibration(experiment,
                         "`" + slot.method + "` folds batch norms into the weights (" +
                             graph.node(slot.folded_batch_norm).name + " into " + slot.info.node +
                             "), which leaves no statistics to take anew",
                         faults);
    return;
  }
  const auto& nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [](const Node& node) { return node.op == Op::batch_norm; })) {
    refuse_recalibration(experiment, "the network has no batch norm", faults);
  }
}

void require_correctable(const config::Experiment& experiment, const Plan& plan, Faults& faults) {
  if (!plan.bias_correction) return;
  const std::int64_t epochs = experiment.train.integer("epochs");
  const auto slot = std::find_if(plan.slots.begin(), plan.slots.end(), [](const PlannedSlot& each) {
    return each.weight && each.traits.bias_correction;
  });
  const std::string key = "quantizer." + std::to_string(slot->rule) + ".bias_correction";
  if (plan.ensemble_size > 1) {
    faults.push_back(experiment.diagnostic_at(
        key,
        "`" + slot->method + "` corrects biases, and the network is evaluated as " +
            std::to_string(plan.ensemble_size) +
            " networks, of which each would need a correction of its own",
        {"set bias_correction = false, or evaluate one network"}));
  } else if (epochs > 0) {
    faults.push_back(experiment.diagnostic_at(
        key,
        "`" + slot->method + "` corrects biases for the weights that it is given, and " +
            "train.epochs = " + std::to_string(epochs) + " trains them further",
        {"`qhost quantize RUN " + slot->method +
         "` takes a trained network as it is (so does train.epochs = 0 with train.init_from); or "
         "set bias_correction = false"}));
  }
}

}  // namespace

void require_possible(const config::Experiment& experiment, const Graph& graph, const Plan& plan) {
  Faults faults;
  require_augmentation(experiment, graph.input().shape, faults);
  require_batch_norms(experiment, graph, plan, faults);
  require_correctable(experiment, plan, faults);
  if (experiment.train.string("verify") != "off") runtime::chosen_kernels();  // it may be misnamed
  if (!faults.empty()) throw config::to_error(faults);
}

}  // namespace qhost::jobs
