#include "training/batch.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace qhost::training {

BatchBuffer::BatchBuffer(const Shape& image, std::int64_t batch_size, const ModelOptions& options)
    : options_(options) {
  const auto format =
      options.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  images_ = at::empty({batch_size, image.channels(), image.height(), image.width()},
                      at::TensorOptions(at::kFloat).memory_format(format));
  labels_ = at::empty({batch_size}, at::TensorOptions(at::kLong));
}

Batch BatchBuffer::fill(const data::DataLoader& batches, std::int64_t epoch, std::int64_t step) {
  const data::Layout layout = options_.channels_last ? data::Layout::nhwc : data::Layout::nchw;
  const std::int64_t count = batches.fill(epoch, step, images_.mutable_data_ptr<float>(),
                                          labels_.mutable_data_ptr<std::int64_t>(), layout);
  const bool whole = count == images_.size(0);
  Batch batch{whole ? images_ : images_.narrow(0, 0, count),
              whole ? labels_ : labels_.narrow(0, 0, count)};
  if (options_.device != at::kCPU) {
    batch.images = batch.images.to(options_.device);
    batch.labels = batch.labels.to(options_.device);
  }
  return batch;
}

}  // namespace qhost::training
