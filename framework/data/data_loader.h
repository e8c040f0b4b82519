/// data/data_loader.h: batch number `step` of epoch `epoch`, as a function of these two numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"

namespace qhost::data {

/// The order in which an epoch visits `count` images: Fisher-Yates, keyed by (seed, "data",
/// "permutation", epoch).
std::vector<std::uint32_t> epoch_permutation(std::uint64_t seed, std::int64_t epoch,
                                             std::int64_t count);

/// Batches that an epoch of `images` makes.
constexpr std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch_size,
                                       bool drop_last) {
  return drop_last ? images / batch_size : (images + batch_size - 1) / batch_size;
}

/// Cuts a split into batches. Nothing depends on the calls before, so a resumed run asks for the
/// next step and gets what the uninterrupted one got. All members may be called from any thread.
class DataLoader {
 public:
  /// `split` must outlive the data_loader. `image` is {C, H, W}. Without `shuffle` the images come in
  /// stored order. `drop_last` leaves out an incomplete last batch. Throws Error of kind data when
  /// the split is empty or inconsistent with `image`, OptionError (batch_size, drop_last, or those
  /// of Augmenter) for values that make no batch.
  DataLoader(const Split& split, const Shape& image, AugmentOptions options, std::uint64_t seed,
             std::int64_t batch_size, bool shuffle, bool drop_last);

  std::int64_t steps_per_epoch() const { return steps_; }
  std::int64_t batch_size() const { return batch_size_; }
  std::int64_t images_per_epoch() const;
  /// Images in batch `step`: batch_size(), or what is left for the last one.
  std::int64_t images(std::int64_t step) const;

  /// Writes batch `step` (0 .. steps_per_epoch()-1) of `epoch`: images(step) * C*H*W floats to
  /// `out` in `layout`, as many labels to `labels`; returns images(step). The bits do not depend on
  /// `threads`, an upper bound (a batch too small to be worth a thread uses fewer).
  std::int64_t fill(std::int64_t epoch, std::int64_t step, float* out, std::int64_t* labels,
                    Layout layout, int threads = 1) const;

  /// The places in the split that fill() reads, and what it draws for one: for those who augment
  /// elsewhere (on a GPU) with the same result.
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
