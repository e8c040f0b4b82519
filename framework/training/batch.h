/// training/batch.h: a batch of images as tensors on the model's device.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/data_loader.h"
#include "model/model.h"

namespace qhost::training {

struct Batch {
  at::Tensor images;  ///< float32 [N, C, H, W], channels_last where the model is
  at::Tensor labels;  ///< int64 [N]
};

/// The memory of one batch, overwritten by each fill(): a batch is valid until the next one.
class BatchBuffer {
 public:
  BatchBuffer(const Shape& image, std::int64_t batch_size, const ModelOptions& options);
  Batch fill(const data::DataLoader& batches, std::int64_t epoch, std::int64_t step);

 private:
  ModelOptions options_;
  at::Tensor images_, labels_;
};

}  // namespace qhost::training
