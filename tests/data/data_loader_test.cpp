#include "data/data_loader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>

#include "slow_reference.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

Split images(std::int64_t count, const Shape& shape) {
  Split split;
  split.pixels = noise(static_cast<std::size_t>(count * shape.elements()), 77);
  for (std::int64_t i = 0; i < count; ++i) {
    split.labels.push_back(static_cast<std::uint16_t>(i * 7 % 1000));
    split.source_index.push_back(static_cast<std::uint32_t>(i));
  }
  return split;
}

AugmentOptions full() {
  AugmentOptions options;
  options.crop_padding = 4;
  options.flip = true;
  options.cutout = 8;
  options.mean = {0.49F, 0.48F, 0.44F};
  options.std = {0.25F, 0.24F, 0.26F};
  return options;
}

const Shape color{{3, 32, 32}};

struct Batch {
  std::vector<float> images;
  std::vector<std::int64_t> labels;
  bool operator==(const Batch&) const = default;
};

Batch fill(const DataLoader& data_loader, std::int64_t epoch, std::int64_t step,
           Layout layout = Layout::nhwc, int threads = 1) {
  Batch batch;
  batch.images.resize(static_cast<std::size_t>(data_loader.batch_size() *
                                               data_loader.augmenter().image().elements()));
  batch.labels.resize(static_cast<std::size_t>(data_loader.batch_size()));
  const std::int64_t count =
      data_loader.fill(epoch, step, batch.images.data(), batch.labels.data(), layout, threads);
  EXPECT_EQ(count, data_loader.images(step));
  batch.images.resize(static_cast<std::size_t>(count * data_loader.augmenter().image().elements()));
  batch.labels.resize(static_cast<std::size_t>(count));
  return batch;
}

void bits_do_not_depend_on_threads(const Split& split) {
  const DataLoader data_loader(split, color, full(), 3, 300, true, false);
  for (std::int64_t step = 0; step < data_loader.steps_per_epoch(); ++step) {
    const Batch one = fill(data_loader, 1, step, Layout::nhwc, 1);
    for (const int threads : {0, 2, 3, 5, 64}) {
      ASSERT_TRUE(fill(data_loader, 1, step, Layout::nhwc, threads) == one) << threads;
    }
  }
}

TEST(Permutation, VisitsEveryImageOnce) {
  for (const std::int64_t count : {1, 2, 3, 1000}) {
    std::vector<std::uint32_t> order = epoch_permutation(5, 1, count);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < count; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_EQ(epoch_permutation(5, 1, 1000), epoch_permutation(5, 1, 1000));
  EXPECT_NE(epoch_permutation(5, 1, 1000), epoch_permutation(5, 2, 1000));
  EXPECT_NE(epoch_permutation(5, 1, 1000), epoch_permutation(6, 1, 1000));
}

TEST(Permutation, ReachesEveryOrderEvenly) {
  std::map<std::vector<std::uint32_t>, int> counts;
  for (int epoch = 0; epoch < 6000; ++epoch) ++counts[epoch_permutation(1, epoch, 3)];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 6 * 29);
}

TEST(DataLoader, WritesWhatTheSlowReferenceWrites) {
  const Split split = images(50, color);
  const DataLoader data_loader(split, color, full(), 3, 16, true, false);
  ASSERT_EQ(data_loader.steps_per_epoch(), 4);
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      const std::vector<std::uint32_t> order = epoch_permutation(3, epoch, 50);
      for (std::int64_t step = 0; step < 4; ++step) {
        const Batch batch = fill(data_loader, epoch, step, layout);
        ASSERT_EQ(batch.labels.size(), step < 3 ? 16U : 2U);
        for (std::size_t i = 0; i < batch.labels.size(); ++i) {
          const std::uint32_t index = order[static_cast<std::size_t>(step * 16) + i];
          ASSERT_EQ(batch.labels[i], split.labels[index]);
          const auto slow = slow_augment(split.pixels.data() + index * 3072, color, full(),
                                         data_loader.augmenter().draw(3, epoch, index));
          for (std::int64_t e = 0; e < 3072; ++e) {
            const std::size_t at = place(color, layout, e / 1024, e % 1024 / 32, e % 32);
            ASSERT_NEAR(batch.images[i * 3072 + at], slow[static_cast<std::size_t>(e)], 2e-6);
          }
        }
      }
    }
  }
}

TEST(DataLoader, FloatsTakeThePlaceOfTheBytes) {
  Split split = images(50, color);
  split.floats = float_noise(50 * 3072, 8);
  Split bare = split;
  bare.pixels.clear();
  const DataLoader data_loader(split, color, full(), 3, 16, true, false);
  const DataLoader without_bytes(bare, color, full(), 3, 16, true, false);
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    const std::vector<std::uint32_t> order = epoch_permutation(3, 1, 50);
    const Batch batch = fill(data_loader, 1, 2, layout);
    for (std::size_t i = 0; i < batch.labels.size(); ++i) {
      const std::uint32_t index = order[32 + i];
      ASSERT_EQ(batch.labels[i], split.labels[index]);
      const auto slow = slow_augment(split.floats.data() + index * 3072, color, full(),
                                     data_loader.augmenter().draw(3, 1, index));
      for (std::int64_t e = 0; e < 3072; ++e) {
        const std::size_t at = place(color, layout, e / 1024, e % 1024 / 32, e % 32);
        ASSERT_EQ(double{batch.images[i * 3072 + at]}, slow[static_cast<std::size_t>(e)]);
      }
    }
    EXPECT_TRUE(fill(without_bytes, 1, 2, layout) == batch);
  }
}

TEST(DataLoader, BitsDoNotDependOnThreads) {
  Split split = images(700, color);
  for (const bool floats : {false, true}) {
    if (floats) split.floats = float_noise(700 * 3072, 8);
    bits_do_not_depend_on_threads(split);
  }
}

TEST(DataLoader, AnyStepCanBeAskedForFirst) {
  const Split split = images(100, color);
  const DataLoader all(split, color, full(), 3, 32, true, false);
  std::vector<Batch> in_order;
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (int step = 0; step < 4; ++step) in_order.push_back(fill(all, epoch, step));
  }
  for (const int i : {11, 4, 0, 7, 11}) {
    const DataLoader fresh(split, color, full(), 3, 32, true, false);
    EXPECT_TRUE(fill(fresh, i / 4, i % 4) == in_order[static_cast<std::size_t>(i)]) << i;
    EXPECT_TRUE(fill(all, i / 4, i % 4) == in_order[static_cast<std::size_t>(i)]) << i;
  }
  EXPECT_FALSE(in_order[0] == in_order[4]) << "two epochs are alike";
}

TEST(DataLoader, AnImageIsAugmentedAlikeInEveryBatchSize) {
  const Split split = images(60, color);
  const DataLoader small(split, color, full(), 3, 7, true, false);
  const DataLoader large(split, color, full(), 3, 60, true, false);
  const Batch whole = fill(large, 2, 0);
  std::vector<float> joined;
  for (std::int64_t step = 0; step < small.steps_per_epoch(); ++step) {
    const Batch part = fill(small, 2, step);
    joined.insert(joined.end(), part.images.begin(), part.images.end());
  }
  EXPECT_EQ(joined, whole.images);
}

TEST(DataLoader, ThreadsMayShareOne) {
  const Split split = images(90, color);
  const DataLoader data_loader(split, color, full(), 3, 30, true, false);
  std::vector<Batch> expected;
  for (int epoch = 0; epoch < 4; ++epoch) expected.push_back(fill(data_loader, epoch, 1));
  std::vector<int> equal(4, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < 10; ++round) {
          equal[t] += fill(data_loader, static_cast<std::int64_t>(t), 1) == expected[t] ? 1 : 0;
        }
      });
    }
  }
  EXPECT_THAT(equal, ::testing::Each(10));
}

TEST(DataLoader, StoredOrderWithoutShuffle) {
  const Split split = images(10, color);
  const DataLoader data_loader(split, color, full(), 3, 4, false, false);
  EXPECT_THAT(data_loader.indices(5, 2), ::testing::ElementsAre(8, 9));
  EXPECT_THAT(data_loader.indices(0, 0), ::testing::ElementsAre(0, 1, 2, 3));
}

TEST(DataLoader, StepsAndTheIncompleteBatch) {
  const Split split = images(10, color);
  const DataLoader keep(split, color, full(), 3, 4, true, false);
  EXPECT_EQ(keep.steps_per_epoch(), 3);
  EXPECT_EQ(keep.images_per_epoch(), 10);
  EXPECT_EQ(keep.images(2), 2);
  const DataLoader drop(split, color, full(), 3, 4, true, true);
  EXPECT_EQ(drop.steps_per_epoch(), 2);
  EXPECT_EQ(drop.images_per_epoch(), 8);
  const DataLoader exact(split, color, full(), 3, 5, true, true);
  EXPECT_EQ(exact.steps_per_epoch(), 2);
  EXPECT_EQ(exact.images(1), 5);
}

TEST(DataLoader, RefusesWhatMakesNoBatch) {
  const Split split = images(10, color);
  expect_option_error("batch_size", {"0 is below 1", "help: "},
                      [&] { DataLoader(split, color, full(), 3, 0, true, false); });
  expect_option_error("drop_last",
                      {"drops the only batch: 10 images are fewer than batch_size 11",
                       "help: set drop_last = false or a smaller batch_size"},
                      [&] { DataLoader(split, color, full(), 3, 11, true, true); });
  const Split none;
  expect_error(ErrorKind::data, {"the split has no images", "help: set aside fewer"},
               [&] { DataLoader(none, color, full(), 3, 4, true, false); });
  expect_error(ErrorKind::data, {"30720 pixel bytes are not 10 images of 3075 bytes", "help: "},
               [&] {
                 DataLoader(split, Shape{{3, 25, 41}}, full(), 3, 4, true, false);
               });
  Split odd = images(10, color);
  odd.floats.resize(30719);
  expect_error(ErrorKind::data, {"30719 floats are not 10 images of 3072\nhelp: "},
               [&] { DataLoader(odd, color, full(), 3, 4, true, false); });
  const DataLoader data_loader(split, color, full(), 3, 4, true, false);
  float out = 0;
  std::int64_t label = 0;
  expect_error(ErrorKind::internal, {"there is no step 3 in epoch 0: an epoch has the steps 0..2"},
               [&] { data_loader.fill(0, 3, &out, &label, Layout::nchw); });
  expect_error(ErrorKind::internal, {"there is no step 0 in epoch -1"},
               [&] { data_loader.fill(-1, 0, &out, &label, Layout::nchw); });
}

TEST(DataLoader, NothingIsWrittenBeyondTheBatch) {
  const Split split = images(5, color);
  const DataLoader data_loader(split, color, full(), 3, 4, true, false);
  std::vector<float> out(4 * 3072, -99.0F);
  std::vector<std::int64_t> labels(4, -99);
  EXPECT_EQ(data_loader.fill(0, 1, out.data(), labels.data(), Layout::nhwc, 4), 1);
  EXPECT_TRUE(std::all_of(out.begin() + 3072, out.end(), [](float f) { return f == -99.0F; }));
  EXPECT_THAT(std::vector<std::int64_t>(labels.begin() + 1, labels.end()), ::testing::Each(-99));
}

}  // namespace
}  // namespace qhost::data::testing
