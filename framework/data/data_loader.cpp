#include "data/data_loader.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <thread>
#include <utility>

#include "qhost/error.h"
#include "qhost/random.h"

namespace qhost::data {
namespace {

/// Writing an image takes about 1 us, starting a thread about 20 us.
constexpr std::int64_t images_per_thread = 64;

/// A shuffled image is at a random place in memory. Prefetching one image ahead hides the latency,
/// which was a third of the time of a CIFAR batch.
inline void prefetch(const void* image, std::int64_t count) {
  const auto* bytes = static_cast<const char*>(image);
  for (std::int64_t at = 0; at < count; at += 64) __builtin_prefetch(bytes + at);
}

[[noreturn]] void fail(const std::string& message, const std::string& help = "") {
  throw Error(ErrorKind::data, "batches: " + message, help);
}

}  // namespace

std::vector<std::uint32_t> epoch_permutation(std::uint64_t seed, std::int64_t epoch,
                                             std::int64_t count) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0U);
  Random random = Random::keyed(seed, "data", "permutation", static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

DataLoader::DataLoader(const Split& split, const Shape& image, AugmentOptions options,
                       std::uint64_t seed, std::int64_t batch_size, bool shuffle, bool drop_last)
    : split_(&split),
      augmenter_(image, std::move(options)),
      seed_(seed),
      batch_size_(batch_size),
      shuffle_(shuffle),
      steps_(0) {
  if (batch_size < 1) {
    throw OptionError("batch_size", std::to_string(batch_size) + " is below 1", "128 is usual");
  }
  const std::int64_t count = split.count();
  if (count == 0) {
    fail("the split has no images",
         "set aside fewer (validation), or keep more (fraction, classes)");
  }
  const bool floats = !split.floats.empty();
  const std::size_t values = floats ? split.floats.size() : split.pixels.size();
  if (static_cast<std::int64_t>(values) != count * image.elements()) {
    fail(std::to_string(values) + (floats ? " floats" : " pixel bytes") + " are not " +
             std::to_string(count) + " images of " + std::to_string(image.elements()) +
             (floats ? "" : " bytes"),
         "the split and the image shape belong to different sets");
  }
  steps_ = data::steps_per_epoch(count, batch_size, drop_last);
  if (steps_ == 0) {
    throw OptionError("drop_last",
                      "drops the only batch: " + std::to_string(count) +
                          " images are fewer than batch_size " + std::to_string(batch_size),
                      "set drop_last = false or a smaller batch_size");
  }
}

std::int64_t DataLoader::images_per_epoch() const {
  return std::min(steps_ * batch_size_, split_->count());
}

std::int64_t DataLoader::images(std::int64_t step) const {
  check(0, step);
  return std::min(batch_size_, split_->count() - step * batch_size_);
}

void DataLoader::check(std::int64_t epoch, std::int64_t step) const {
  if (epoch >= 0 && step >= 0 && step < steps_) return;
  throw Error(ErrorKind::internal, "batches: there is no step " + std::to_string(step) +
                                       " in epoch " + std::to_string(epoch) +
                                       ": an epoch has the steps 0.." + std::to_string(steps_ - 1));
}

DataLoader::Order DataLoader::order(std::int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  if (order_epoch_ != epoch) {
    order_ = std::make_shared<const std::vector<std::uint32_t>>(
        epoch_permutation(seed_, epoch, split_->count()));
    order_epoch_ = epoch;
  }
  return order_;
}

std::vector<std::uint32_t> DataLoader::indices(std::int64_t epoch, std::int64_t step) const {
  check(epoch, step);
  std::vector<std::uint32_t> out(static_cast<std::size_t>(images(step)));
  const std::int64_t first = step * batch_size_;
  if (shuffle_) {
    std::copy_n(order(epoch)->begin() + first, out.size(), out.begin());
  } else {
    std::iota(out.begin(), out.end(), static_cast<std::uint32_t>(first));
  }
  return out;
}

AugmentDraw DataLoader::draw(std::int64_t epoch, std::int64_t index) const {
  return augmenter_.draw(seed_, epoch, index);
}

std::int64_t DataLoader::fill(std::int64_t epoch, std::int64_t step, float* out,
                              std::int64_t* labels, Layout layout, int threads) const {
  const std::vector<std::uint32_t> chosen = indices(epoch, step);
  const auto count = static_cast<std::int64_t>(chosen.size());
  const std::int64_t size = augmenter_.image().elements();
  const auto write_from = [&](const auto* images, std::int64_t begin, std::int64_t end) {
    const auto source = [&](std::int64_t i) {
      return images + std::int64_t{chosen[static_cast<std::size_t>(i)]} * size;
    };
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + 1 < end) prefetch(source(i + 1), size * std::int64_t{sizeof(*images)});
      const std::int64_t index = chosen[static_cast<std::size_t>(i)];
      augmenter_.write(source(i), draw(epoch, index), out + i * size, layout);
      labels[i] = split_->labels[static_cast<std::size_t>(index)];
    }
  };
  const auto write = [&](std::int64_t begin, std::int64_t end) {
    if (split_->floats.empty()) {
      write_from(split_->pixels.data(), begin, end);
    } else {
      write_from(split_->floats.data(), begin, end);
    }
  };
  const std::int64_t useful = (count + images_per_thread - 1) / images_per_thread;
  const std::int64_t parts = std::clamp<std::int64_t>(threads, 1, useful);
  std::vector<std::jthread> others;  // joined at the end of the scope
  for (std::int64_t p = 1; p < parts; ++p) {
    others.emplace_back(write, p * count / parts, (p + 1) * count / parts);
  }
  write(0, count / parts);
  return count;
}

}  // namespace qhost::data
