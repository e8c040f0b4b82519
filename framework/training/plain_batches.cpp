#include "training/plain_batches.h"

#include <algorithm>

namespace qhost::training {

PlainBatches::PlainBatches(const config::Experiment& experiment, const data::Dataset& data,
                           const ModelOptions& options, std::int64_t wanted,
                           std::int64_t batch_size, bool drop_last)
    : batches_(data.train, data.image, data::evaluation_options(experiment.augment, data),
               static_cast<std::uint64_t>(experiment.train.integer("seed")),
               std::min(batch_size, data.train.count()), /*shuffle=*/true, drop_last),
      buffer_(data.image, batches_.batch_size(), options),
      count_(std::min(wanted, batches_.steps_per_epoch())) {}

at::Tensor PlainBatches::images(std::int64_t index) {
  return buffer_.fill(batches_, 0, index).images;
}

}  // namespace qhost::training
