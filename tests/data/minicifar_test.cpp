#include "data/minicifar.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "support.h"

namespace qhost::data::testing {
namespace {

/// Image i has the label `labels(i)` and four bytes that encode i.
Split numbered(std::uint32_t count, std::uint16_t (*labels)(std::uint32_t)) {
  Split split;
  for (std::uint32_t i = 0; i < count; ++i) {
    for (int shift = 0; shift < 32; shift += 8) {
      split.pixels.push_back(static_cast<std::uint8_t>(i >> shift));
    }
    split.labels.push_back(labels(i));
    split.source_index.push_back(i);
  }
  return split;
}

std::uint32_t number(const Split& split, std::size_t i) {
  std::uint32_t n = 0;
  for (std::size_t b = 4; b-- > 0;) n = n << 8 | split.pixels[4 * i + b];
  return n;
}

/// 5,000 and 1,000 images of each of ten classes, in a cycle: position p of class k is image 10 p +
/// k.
Dataset whole() {
  Dataset set;
  set.name = "cifar10";
  set.image = Shape{{1, 2, 2}};
  set.classes = 10;
  const auto turns = [](std::uint32_t i) { return static_cast<std::uint16_t>(i % 10); };
  set.train = numbered(50000, turns);
  set.test = numbered(10000, turns);
  return set;
}

std::vector<std::uint32_t> golden(std::uint32_t n, std::uint32_t size) {
  const auto file =
      nlohmann::json::parse(read_text(QHOST_SOURCE_DIR "/tests/data/golden/numpy_choice.json"));
  for (const auto& item : file.at("choices")) {
    if (item.at("seed") == 42 && item.at("n") == n && item.at("size") == size) {
      return item.at("drawn");
    }
  }
  ADD_FAILURE() << "the golden file has no choice of " << size << " of " << n;
  return {};
}

TEST(MiniCifar, PicksTheImagesThatNumpyPicks) {
  Dataset set = whole();
  reduce_to_minicifar(set);
  const auto expect = [](const Split& split, const std::vector<std::uint32_t>& positions) {
    ASSERT_EQ(split.labels.size(), 4 * positions.size());
    ASSERT_EQ(split.pixels.size(), 4 * split.labels.size());
    std::size_t i = 0;
    for (std::uint32_t k = 0; k < 4; ++k) {
      for (const std::uint32_t position : positions) {
        ASSERT_EQ(split.labels[i], k);
        ASSERT_EQ(split.source_index[i], 10 * position + k);
        ASSERT_EQ(number(split, i), 10 * position + k);
        ++i;
      }
    }
  };
  expect(set.train, golden(5000, 1000));
  expect(set.validation, golden(1000, 200));
  expect(set.test, golden(1000, 1000));
  EXPECT_EQ(set.name, "minicifar");
  EXPECT_EQ(set.classes, 4);
  EXPECT_TRUE(set.validation_is_test_images);
  EXPECT_THAT(set.class_names, ::testing::ElementsAre("airplane", "automobile", "bird", "cat"));
  EXPECT_THAT(set.std, ::testing::ElementsAre(0.2023F, 0.1994F, 0.2010F));

  const std::set<std::uint32_t> test(set.test.source_index.begin(), set.test.source_index.end());
  EXPECT_EQ(test.size(), 4000U);
  for (const std::uint32_t i : set.validation.source_index) EXPECT_EQ(test.count(i), 1U);
}

TEST(MiniCifar, RefusesASetOfOtherSize) {
  Dataset set = whole();
  set.train = numbered(
      50000, [](std::uint32_t i) { return static_cast<std::uint16_t>(i == 3 ? 4 : i % 10); });
  expect_error(ErrorKind::data,
               {"minicifar: class 3 has 4999 training images, not 5000", "help: ", "CIFAR-10"},
               [&] { reduce_to_minicifar(set); });
}

TEST(MiniCifar, LoadsThroughCifar10) {
  const Folder root;
  const fs::path folder = root / "cifar-10-batches-bin";
  make_sparse_cifar10(folder);
  const CifarLayout& layout = cifar10_layout();
  for (const auto* files : {&layout.train, &layout.test}) {
    for (const CifarFile& file : *files) {
      std::fstream out(folder / file.name, std::ios::binary | std::ios::in | std::ios::out);
      for (std::int64_t r = 0; r < file.records; ++r) {
        out.seekp(r * 3073);
        out.put(static_cast<char>(r % 10));
      }
    }
  }
  const Dataset set = load("minicifar", {{"root", root.path().string()}});
  EXPECT_EQ(set.train.count(), 4000);
  EXPECT_EQ(set.validation.count(), 800);
  EXPECT_EQ(set.test.count(), 4000);
  EXPECT_TRUE(set.validation_is_test_images);
  EXPECT_EQ(set.train.source_index[0], 10 * golden(5000, 1000)[0]);

  const Dataset own = load("minicifar", {{"root", root.path().string()},
                                         {"validation", std::int64_t{400}},
                                         {"classes", std::vector<std::int64_t>{3, 1}}});
  EXPECT_FALSE(own.validation_is_test_images);
  EXPECT_EQ(own.validation.count(), 400);
  EXPECT_EQ(own.train.count(), 1600);
  EXPECT_THAT(own.class_names, ::testing::ElementsAre("cat", "automobile"));
}

}  // namespace
}  // namespace qhost::data::testing
