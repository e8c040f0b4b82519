#include "data/prefetcher.h"

#include <cstddef>
#include <utility>

namespace qhost::data {
namespace {

constexpr std::size_t alignment = 64;

/// The first aligned float of a vector that is `alignment` bytes longer than needed.
float* align(std::vector<float>& values) {
  const auto address = reinterpret_cast<std::uintptr_t>(values.data());
  return values.data() + (alignment - address % alignment) % alignment / sizeof(float);
}

}  // namespace

Prefetcher::Prefetcher(const DataLoader& data_loader, Layout layout, int threads,
                       std::int64_t epoch, std::int64_t step, std::int64_t epochs)
    : Prefetcher(
          [&data_loader, layout, threads](std::int64_t e, std::int64_t s, float* images,
                                          std::int64_t* labels) {
            return data_loader.fill(e, s, images, labels, layout, threads);
          },
          data_loader.batch_size(), data_loader.augmenter().image().elements(),
          data_loader.steps_per_epoch(), epoch, step, epochs) {}

Prefetcher::Prefetcher(Fill fill, std::int64_t batch_size, std::int64_t elements,
                       std::int64_t steps_per_epoch, std::int64_t epoch, std::int64_t step,
                       std::int64_t epochs)
    : fill_(std::move(fill)),
      steps_per_epoch_(steps_per_epoch),
      epoch_(epoch),
      step_(step),
      epochs_(epochs) {
  for (Slot& slot : slots_) {
    slot.images.resize(static_cast<std::size_t>(batch_size * elements) + alignment / sizeof(float));
    slot.aligned = align(slot.images);
    slot.labels.resize(static_cast<std::size_t>(batch_size));
  }
  // A position after the last step is the next epoch's first, as a checkpoint at an epoch's end has
  // it.
  if (step_ >= steps_per_epoch_) {
    ++epoch_;
    step_ = 0;
  }
  thread_ = std::thread([this] { run(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Prefetcher::run() {
  int writing = 0;
  std::int64_t epoch = epoch_, step = step_;
  std::exception_ptr error;
  while (epoch < epochs_ && !error) {
    Slot& slot = slots_[writing];
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || !slot.full; });
      if (stop_) return;
    }
    try {
      const std::int64_t count = fill_(epoch, step, slot.aligned, slot.labels.data());
      slot.batch = {epoch, step, slot.aligned, slot.labels.data(), count};
    } catch (...) {
      error = std::current_exception();
    }
    if (!error) {
      const std::lock_guard lock(mutex_);
      slot.full = true;
    }
    changed_.notify_all();
    writing = 1 - writing;
    if (++step == steps_per_epoch_) {
      step = 0;
      ++epoch;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
    finished_ = true;
  }
  changed_.notify_all();
}

std::optional<PrefetchedBatch> Prefetcher::next() {
  std::unique_lock lock(mutex_);
  if (lent_) {
    slots_[1 - reading_].full = false;
    lent_ = false;
    changed_.notify_all();
  }
  Slot& slot = slots_[reading_];
  changed_.wait(lock, [&] { return slot.full || finished_; });
  if (!slot.full) {
    if (error_) std::rethrow_exception(error_);
    return std::nullopt;
  }
  reading_ = 1 - reading_;
  lent_ = true;
  return slot.batch;
}

}  // namespace qhost::data
