/// training/plain_batches.h: training images without augmentation, for calibration and the
/// statistics of batch norms.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "config/experiment.h"
#include "data/data_loader.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/batch.h"

namespace qhost::training {

/// Batches of the training set, normalized and not augmented, in the order of epoch 0 with the
/// run's seed. `data` must outlive it.
class PlainBatches {
 public:
  /// At most `wanted` batches of at most `batch_size` images; `drop_last` leaves out a short last
  /// batch.
  PlainBatches(const config::Experiment& experiment, const data::Dataset& data,
               const ModelOptions& options, std::int64_t wanted, std::int64_t batch_size,
               bool drop_last);

  /// The number of batches, smaller than `wanted` if there are no more.
  std::int64_t count() const { return count_; }
  /// [N, ...] float32, in a buffer that the next call overwrites.
  at::Tensor images(std::int64_t index);

 private:
  data::DataLoader batches_;
  BatchBuffer buffer_;
  std::int64_t count_;
};

}  // namespace qhost::training
