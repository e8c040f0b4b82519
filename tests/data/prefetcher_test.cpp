#include "data/prefetcher.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "support.h"

namespace qhost::data::testing {
namespace {

struct PrefetchedDigits : ::testing::Test {
  Dataset set = load("digits");
  AugmentOptions options = [this] {
    AugmentOptions o = evaluation_options({}, set);
    o.crop_padding = 1;
    o.flip = true;
    return o;
  }();
  DataLoader data_loader{set.train, set.image, options, 7, 256, true, false};

  void expect_batch(const PrefetchedBatch& batch, std::int64_t epoch, std::int64_t step) {
    ASSERT_EQ(batch.epoch, epoch);
    ASSERT_EQ(batch.step, step);
    std::vector<float> images(256 * 64);
    std::vector<std::int64_t> labels(256);
    const std::int64_t count =
        data_loader.fill(epoch, step, images.data(), labels.data(), Layout::nhwc);
    ASSERT_EQ(batch.count, count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch.images) % 64, 0U);
    EXPECT_EQ(0, std::memcmp(batch.images, images.data(), static_cast<std::size_t>(count) * 256));
    EXPECT_EQ(0, std::memcmp(batch.labels, labels.data(), static_cast<std::size_t>(count) * 8));
  }
};

TEST_F(PrefetchedDigits, BatchesAreThoseOfTheDataLoader) {
  Prefetcher prefetcher(data_loader, Layout::nhwc, 2, 0, 0, 2);
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    for (std::int64_t step = 0; step < data_loader.steps_per_epoch(); ++step) {
      const auto batch = prefetcher.next();
      ASSERT_TRUE(batch.has_value());
      expect_batch(*batch, epoch, step);
    }
  }
  EXPECT_FALSE(prefetcher.next().has_value());
  EXPECT_FALSE(prefetcher.next().has_value());
}

TEST_F(PrefetchedDigits, StartsAnywhere) {
  Prefetcher middle(data_loader, Layout::nhwc, 1, 1, 4, 3);
  const auto batch = middle.next();
  ASSERT_TRUE(batch.has_value());
  expect_batch(*batch, 1, 4);
  Prefetcher edge(data_loader, Layout::nhwc, 1, 1, data_loader.steps_per_epoch(), 3);
  const auto first = edge.next();
  ASSERT_TRUE(first.has_value());
  expect_batch(*first, 2, 0);
  Prefetcher done(data_loader, Layout::nhwc, 1, 3, 0, 3);
  EXPECT_FALSE(done.next().has_value());
}

TEST_F(PrefetchedDigits, StopsAtAnyMoment) {
  for (int taken = 0; taken < 4; ++taken) {
    Prefetcher prefetcher(data_loader, Layout::nchw, 1, 0, 0, 1000000);
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(prefetcher.next().has_value());
  }
}

std::int64_t number_batch(std::int64_t epoch, std::int64_t step, float* images,
                          std::int64_t* labels) {
  images[0] = static_cast<float>(10 * epoch + step);
  labels[0] = 10 * epoch + step;
  return 1;
}

TEST(Prefetcher, ALentBatchStaysUntilTheNextCall) {
  Prefetcher prefetcher(number_batch, 1, 1, 10, 0, 0, 2);
  for (std::int64_t i = 0; i < 20; ++i) {
    const auto batch = prefetcher.next();
    ASSERT_TRUE(batch.has_value());
    for (int spin = 0; spin < 50; ++spin) {
      std::this_thread::yield();
      ASSERT_EQ(batch->labels[0], i);
      ASSERT_EQ(batch->images[0], static_cast<float>(i));
    }
  }
  EXPECT_FALSE(prefetcher.next().has_value());
}

TEST(Prefetcher, WritesAheadWhileABatchIsLent) {
  std::atomic<int> written = 0;
  Prefetcher prefetcher(
      [&](std::int64_t e, std::int64_t s, float* images, std::int64_t* labels) {
        const std::int64_t n = number_batch(e, s, images, labels);
        ++written;
        return n;
      },
      1, 1, 10, 0, 0, 1);
  ASSERT_TRUE(prefetcher.next().has_value());
  // It comes without a further next(); the test's own time limit is the only clock.
  while (written < 2) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(written, 2) << "the lent slot was overwritten";
}

TEST(Prefetcher, AnExceptionComesInThePlaceOfItsBatch) {
  Prefetcher prefetcher(
      [](std::int64_t e, std::int64_t s, float* images, std::int64_t* labels) {
        if (s == 2) throw std::runtime_error("the disk is gone");
        return number_batch(e, s, images, labels);
      },
      1, 1, 10, 0, 0, 1);
  EXPECT_EQ(prefetcher.next()->step, 0);
  EXPECT_EQ(prefetcher.next()->step, 1);
  for (int again = 0; again < 2; ++again) {
    EXPECT_THAT([&] { prefetcher.next(); },
                ::testing::ThrowsMessage<std::runtime_error>("the disk is gone"));
  }
}

}  // namespace
}  // namespace qhost::data::testing
