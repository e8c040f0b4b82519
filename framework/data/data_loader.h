/// data/data_loader.h: gives batch `step` of epoch `epoch` as a pure function of these two numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"

namespace qhost::data {

/// The order in which an epoch visits `count` images: a Fisher-Yates shuffle with the random key
/// (seed, "data", "permutation", epoch).
std::vector<std::uint32_t> epoch_permutation(std::uint64_t seed, std::int64_t epoch,
                                             std::int64_t count);

/// The number of batches in an epoch of `images` images.
constexpr std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch_size,
                                       bool drop_last) {
  return drop_last ? images / batch_size : (images + batch_size - 1) / batch_size;
}

/// Divides a split into batches. No call depends on earlier calls, so a resumed run asks for the
/// next step and gets the same batch as an uninterrupted run. All members are thread-safe.
class DataLoader {
 public:
  /// `split` must outlive the data loader. `image` is {C, H, W}. Without `shuffle` the images come
  /// in stored order. `drop_last` leaves out an incomplete last batch. Throws Error (data) if the
  /// split is empty or inconsistent with `image`, OptionError (batch_size, drop_last, or those of
  /// Augmenter) for values that give no batch.
  DataLoader(const Split& split, const Shape& image, AugmentOptions options, std::uint64_t seed,
             std::int64_t batch_size, bool shuffle, bool drop_last);

  std::int64_t steps_per_epoch() const { return steps_; }
  std::int64_t batch_size() const { return batch_size_; }
  std::int64_t images_per_epoch() const;
  /// The number of images in batch `step`: batch_size(), or the rest for the last batch.
  std::int64_t images(std::int64_t step) const;

  /// Writes batch `step` (0 .. steps_per_epoch()-1) of `epoch`: images(step) * C*H*W floats to
  /// `out` in `layout`, and as many labels as images to `labels`. Returns images(step). The bits do
  /// not depend on `threads`, which is an upper bound (a small batch uses fewer).
  std::int64_t fill(std::int64_t epoch, std::int64_t step, float* out, std::int64_t* labels,
                    Layout layout, int threads = 1) const;

  /// The positions in the split that fill() reads, and the draws for one of them. With these, other
  /// code (on a GPU) can augment with the same result.
  std::vector<std::uint32_t> indices(std::int64_t epoch, std::int64_t step) const;
  AugmentDraw draw(std::int64_t epoch, std::int64_t index) const;
  const Augmenter& augmenter() const { return augmenter_; }
  const Split& split() const { return *split_; }

 private:
  using Order = std::shared_ptr<const std::vector<std::uint32_t>>;
  Order order(std::int64_t epoch) const;
  void check(std::int64_t epoch, std::int64_t step) const;

  const Split* split_;
  Augmenter augmenter_;
  std::uint64_t seed_;
  std::int64_t batch_size_;
  bool shuffle_;
  std::int64_t steps_;
  mutable std::mutex mutex_;  // guards the two members below
  mutable Order order_;
  mutable std::int64_t order_epoch_ = -1;
};

}  // namespace qhost::data
