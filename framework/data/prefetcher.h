/// data/prefetcher.h: the next batch is written while the current one is used.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "data/data_loader.h"

namespace qhost::data {

/// A batch lent by a Prefetcher, valid until its next next().
struct PrefetchedBatch {
  std::int64_t epoch = 0, step = 0;
  const float* images = nullptr;  ///< 64-byte aligned
  const std::int64_t* labels = nullptr;
  std::int64_t count = 0;
};

/// Runs through the batches (epoch, step) .. end of epoch `epochs`-1 in order, one ahead, in one
/// background thread. The batches are those of DataLoader::fill(). Worth its thread only where a core
/// is idle, as beside a GPU.
class Prefetcher {
 public:
  /// Writes the batch (epoch, step) and returns its number of images.
  using Fill = std::function<std::int64_t(std::int64_t epoch, std::int64_t step, float* images,
                                          std::int64_t* labels)>;

  /// `data_loader` must outlive the prefetcher.
  Prefetcher(const DataLoader& data_loader, Layout layout, int threads, std::int64_t epoch,
             std::int64_t step, std::int64_t epochs);
  /// Any other producer: batches of at most `batch_size` images of `elements` floats.
  Prefetcher(Fill fill, std::int64_t batch_size, std::int64_t elements,
             std::int64_t steps_per_epoch, std::int64_t epoch, std::int64_t step,
             std::int64_t epochs);
  /// Stops after the batch being written.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next batch, or empty after the last. An exception of the producer is rethrown here, in the
  /// place of the batch that failed, and at every later call.
  std::optional<PrefetchedBatch> next();

 private:
  struct Slot {
    std::vector<float> images;
    float* aligned = nullptr;
    std::vector<std::int64_t> labels;
    PrefetchedBatch batch;
    bool full = false;
  };
  void run();

  Fill fill_;
  std::int64_t steps_per_epoch_, epoch_, step_, epochs_;
  Slot slots_[2];
  int reading_ = 0;    // the slot that the next next() lends
  bool lent_ = false;  // the other slot is still with the consumer
  bool stop_ = false;
  bool finished_ = false;
  std::exception_ptr error_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace qhost::data
