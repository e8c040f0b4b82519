#include "training/batch_sizes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "config/diagnostic_codes.h"
#include "data/data_loader.h"

namespace qhost::training {
namespace {

using config::code::batch_size;

/// The batch norms whose input has a single position (H * W = 1).
std::vector<const Node*> pointwise_batch_norms(const Graph& graph) {
  std::vector<const Node*> found;
  for (const Node& node : graph.nodes()) {
    if (node.op == Op::batch_norm && node.shape.elements() == node.shape.channels()) {
      found.push_back(&node);
    }
  }
  return found;
}

std::string batch_norms_text(const std::vector<const Node*>& nodes) {
  std::string text = "batch norm " + config::quote(nodes.front()->name);
  if (nodes.size() > 1) text += " (and " + std::to_string(nodes.size() - 1) + " more)";
  return text;
}

/// The batch size nearest to `wanted` that leaves no batch of one image; 0 if there is none.
std::int64_t nearest_size(std::int64_t images, std::int64_t wanted) {
  const auto good = [&](std::int64_t size) {
    return size >= 2 && images >= 2 && images % size != 1;
  };
  for (std::int64_t distance = 0; distance <= images; ++distance) {
    if (good(wanted - distance)) return wanted - distance;
    if (good(wanted + distance)) return wanted + distance;
  }
  return 0;
}

constexpr const char* more_images =
    "keep more training images (data.fraction, data.classes, data.validation)";

std::string single_value(const std::vector<const Node*>& nodes) {
  return batch_norms_text(nodes) + " has a single value per channel there, which has no variance";
}

/// Checks the batches of a training epoch.
void check_training(const config::Experiment& experiment, const std::vector<const Node*>& nodes,
                    std::int64_t images, std::vector<config::Diagnostic>& faults) {
  const std::int64_t size = experiment.train.integer("batch_size");
  const bool drops = experiment.train.boolean("drop_last");
  const std::int64_t per_epoch = data::steps_per_epoch(images, size, drops);
  const std::int64_t last = drops ? size : images - (per_epoch - 1) * size;
  const bool reaches_last = steps_of_run(experiment, per_epoch) >= per_epoch;
  if (nodes.empty() || (reaches_last ? std::min(size, last) : size) > 1) return;

  const std::int64_t better = nearest_size(images, size);
  std::string message = "`train.batch_size` = " + std::to_string(size) + ": ";
  std::string help = "set ";
  if (images == 1) {
    message += "the training set has 1 image";
    help = more_images;
  } else if (size == 1) {
    message += "each batch has 1 image";
    help += "train.batch_size = " + std::to_string(better);
  } else {
    message += "the last batch of an epoch has 1 image (" + std::to_string(images) + " = " +
               std::to_string(per_epoch - 1) + " x " + std::to_string(size) + " + 1)";
    help += "train.drop_last = true, or train.batch_size = " + std::to_string(better);
  }
  faults.push_back(experiment.diagnostic_at(
      "train.batch_size", message + "; " + single_value(nodes), {help}, batch_size));
}

void check_calibration(const config::Experiment& experiment, const std::vector<const Node*>& nodes,
                       std::int64_t images, std::vector<config::Diagnostic>& faults) {
  const std::int64_t size = std::min(experiment.calibration.integer("batch_size"), images);
  const std::int64_t wanted = experiment.calibration.integer("batches");
  const std::int64_t whole = images / size, rest = images % size;
  const bool short_one = rest == 1 && wanted > whole;
  if (nodes.empty() || (size > 1 && !short_one)) return;

  const std::int64_t better = nearest_size(images, size);
  std::string message =
      "`calibration.batch_size` = " + std::to_string(experiment.calibration.integer("batch_size")) +
      ": ";
  std::string help;
  if (images == 1) {
    message += "the training set has 1 image";
    help = more_images;
  } else if (size == 1) {
    message += "each batch has 1 image";
    help = "set calibration.batch_size = " + std::to_string(better);
  } else {
    message += "the last batch has 1 image (" + std::to_string(images) + " = " +
               std::to_string(whole) + " x " + std::to_string(size) + " + 1)";
    help = "set calibration.batches = " + std::to_string(whole) +
           ", or calibration.batch_size = " + std::to_string(better);
  }
  faults.push_back(experiment.diagnostic_at(
      "calibration.batch_size",
      message + "; the batch norms of an untrained network take their statistics from it, and " +
          single_value(nodes),
      {help, "a trained network (train.init_from) has statistics of its own"}, batch_size));
}

void check_recalibration(const config::Experiment& experiment,
                         const std::vector<const Node*>& nodes, std::int64_t images,
                         std::vector<config::Diagnostic>& faults) {
  const std::int64_t size = std::min(experiment.train.integer("batch_size"), images);
  if (nodes.empty() || size > 1) return;
  const std::int64_t batches = experiment.train.integer("bn_recalibrate");
  faults.push_back(experiment.diagnostic_at(
      "train.bn_recalibrate",
      "`train.bn_recalibrate` = " + std::to_string(batches) +
          ": its batches have 1 image, as train.batch_size = " +
          std::to_string(experiment.train.integer("batch_size")) + " says; " + single_value(nodes),
      {images == 1 ? more_images
                   : "set train.batch_size = " + std::to_string(nearest_size(images, size)) +
                         ", or train.bn_recalibrate = 0"},
      batch_size));
}

}  // namespace

std::int64_t steps_of_run(const config::Experiment& experiment, std::int64_t steps_per_epoch) {
  const std::int64_t whole = experiment.train.integer("epochs") * steps_per_epoch;
  const std::int64_t limit = experiment.train.integer("max_steps");
  return limit > 0 ? std::min(whole, limit) : whole;
}

BatchUses batch_uses(const config::Experiment& experiment, bool needs_calibration) {
  return {.training = experiment.train.integer("epochs") > 0,
          .calibration = needs_calibration && experiment.train.string("init_from").empty(),
          .recalibration = experiment.train.integer("bn_recalibrate") > 0};
}

std::vector<config::Diagnostic> batch_faults(const config::Experiment& experiment,
                                             const Graph& graph, std::int64_t images,
                                             const BatchUses& uses) {
  std::vector<config::Diagnostic> faults;
  if (images < 1) return faults;  // the data set reports this error
  const std::int64_t size = experiment.train.integer("batch_size");
  const std::vector<const Node*> nodes = pointwise_batch_norms(graph);
  // Checked without training too, since the loop is always built for its batches.
  if (experiment.train.boolean("drop_last") && images < size) {
    faults.push_back(experiment.diagnostic_at(
        "train.drop_last",
        "`train.drop_last` drops the only batch: " + std::to_string(images) +
            " training images are fewer than train.batch_size = " + std::to_string(size),
        {"set train.drop_last = false, or a train.batch_size of at most " + std::to_string(images)},
        batch_size));
  } else if (uses.training) {
    check_training(experiment, nodes, images, faults);
  }
  if (uses.calibration) check_calibration(experiment, nodes, images, faults);
  if (uses.recalibration) check_recalibration(experiment, nodes, images, faults);
  return faults;
}

void require_batches(const config::Experiment& experiment, const Graph& graph, std::int64_t images,
                     const BatchUses& uses) {
  const std::vector<config::Diagnostic> faults = batch_faults(experiment, graph, images, uses);
  if (!faults.empty()) throw config::to_error(faults);
}

}  // namespace qhost::training
