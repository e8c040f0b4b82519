/// training/batch_sizes.h: checks that the batches of a run have enough images for its batch norms.
///
/// A batch norm computes mean and variance of each channel over N * H * W values: N images of the
/// batch, H * W positions of its node. A single value is its own mean: the output of the batch norm
/// is its beta for any input, and the unbiased variance of the running statistics (divisor n - 1)
/// is 0 / 0. PyTorch's modules refuse such a batch; at::batch_norm does not.
#pragma once

#include <cstdint>
#include <vector>

#include "config/experiment.h"
#include "qhost/graph.h"

namespace qhost::training {

/// The optimizer steps of the whole run: all epochs, at most `train.max_steps`.
std::int64_t steps_of_run(const config::Experiment& experiment, std::int64_t steps_per_epoch);

/// The uses of batch statistics in a run. Each is checked by itself.
struct BatchUses {
  bool training = false;
  bool calibration = false;  ///< of an untrained network: Model::calibrate, batch_statistics
  bool recalibration = false;
};
/// The uses in a run. It trains unless it has 0 epochs; `needs_calibration` is that of the plan.
BatchUses batch_uses(const config::Experiment& experiment, bool needs_calibration);

/// The errors in the batches of `images` training images, each at the key that decides the size: an
/// epoch without a batch (train.drop_last), and batches, also the short last one, that leave a
/// batch norm a single value per channel (train.batch_size, calibration.batch_size,
/// train.bn_recalibrate). Batches that the run does not reach (train.max_steps) do not count.
std::vector<config::Diagnostic> batch_faults(const config::Experiment& experiment,
                                             const Graph& graph, std::int64_t images,
                                             const BatchUses& uses);

/// Throws Error (configuration) with all batch_faults().
void require_batches(const config::Experiment& experiment, const Graph& graph, std::int64_t images,
                     const BatchUses& uses);

}  // namespace qhost::training
