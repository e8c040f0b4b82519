/// training/batch_sizes.h: how many images each batch of a run has, and whether they are enough for
/// the batch norms.
///
/// A batch norm takes mean and variance of each channel over N * H * W values: N images of the
/// batch, H * W positions of its node. A single value is its own mean: what the batch norm gives is
/// its beta, whatever it reads, and the unbiased variance (divisor n - 1), which the running
/// statistics take, is 0 / 0. PyTorch's modules refuse such a batch; at::batch_norm does not.
#pragma once

#include <cstdint>
#include <vector>

#include "config/experiment.h"
#include "qhost/graph.h"

namespace qhost::training {

/// Optimizer steps of the whole run: its epochs, at most `train.max_steps`.
std::int64_t steps_of_run(const config::Experiment& experiment, std::int64_t steps_per_epoch);

/// What takes the statistics of batches. Each alone can be wrong.
struct BatchUses {
  bool training = false;
  bool calibration = false;  ///< of an untrained network: Model::calibrate, batch_statistics
  bool recalibration = false;
};
/// Those of a run: it trains unless it has no epoch; `needs_calibration` is the plan's.
BatchUses batch_uses(const config::Experiment& experiment, bool needs_calibration);

/// What is wrong with the batches that `images` training images make, each fault at the key that
/// decides the size: an epoch without a batch (train.drop_last), and batches, the short last one
/// too, that leave a batch norm a single value per channel (train.batch_size,
/// calibration.batch_size, train.bn_recalibrate). Batches that the run does not come to
/// (train.max_steps) do not count.
std::vector<config::Diagnostic> batch_faults(const config::Experiment& experiment,
                                             const Graph& graph, std::int64_t images,
                                             const BatchUses& uses);

/// Throws Error (configuration) with all of batch_faults().
void require_batches(const config::Experiment& experiment, const Graph& graph, std::int64_t images,
                     const BatchUses& uses);

}  // namespace qhost::training
