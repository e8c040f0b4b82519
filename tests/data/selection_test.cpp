// Label subset, validation split and fraction, on the embedded digits.
#include <algorithm>
#include <cmath>
#include <set>

#include "support.h"

namespace qhost::data::testing {
namespace {

using ::testing::ElementsAre;
using Labels = std::vector<std::int64_t>;

std::set<std::uint32_t> sources(const Split& split) {
  return {split.source_index.begin(), split.source_index.end()};
}

/// Checks that every image of `part` equals that of `whole` at its source index, label included.
void expect_same_images(const Split& part, const Split& whole, const Labels& classes) {
  const std::size_t size = whole.pixels.size() / whole.labels.size();
  ASSERT_EQ(part.pixels.size(), part.labels.size() * size);
  ASSERT_EQ(part.source_index.size(), part.labels.size());
  for (std::size_t i = 0; i < part.labels.size(); ++i) {
    const std::size_t at = part.source_index[i];
    ASSERT_EQ(classes[part.labels[i]], whole.labels[at]);
    ASSERT_TRUE(std::equal(part.pixels.begin() + static_cast<std::ptrdiff_t>(i * size),
                           part.pixels.begin() + static_cast<std::ptrdiff_t>((i + 1) * size),
                           whole.pixels.begin() + static_cast<std::ptrdiff_t>(at * size)));
  }
}

const Labels all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST(Selection, LabelSubsetRelabelsInTheGivenOrder) {
  const Dataset whole = load("digits");
  const Labels classes = {7, 0, 3};
  const Dataset set = load("digits", {{"classes", classes}});
  EXPECT_EQ(set.classes, 3);
  EXPECT_THAT(set.class_names, ElementsAre("7", "0", "3"));
  expect_same_images(set.train, whole.train, classes);
  expect_same_images(set.test, whole.test, classes);
  const auto kept = std::count_if(whole.train.labels.begin(), whole.train.labels.end(),
                                  [](int l) { return l == 7 || l == 0 || l == 3; });
  EXPECT_EQ(set.train.count(), kept);
  EXPECT_TRUE(std::is_sorted(set.train.source_index.begin(), set.train.source_index.end()));
}

TEST(Selection, ValidationIsDisjointCompleteAndReproducible) {
  const Dataset whole = load("digits");
  const Dataset set = load("digits", {{"validation", std::int64_t{200}}});
  EXPECT_EQ(set.validation.count(), 200);
  EXPECT_EQ(set.train.count(), 1147);
  EXPECT_EQ(set.test.labels, whole.test.labels);
  EXPECT_FALSE(set.validation_is_test_images);
  std::set<std::uint32_t> both = sources(set.train);
  EXPECT_EQ(both.size(), 1147U);
  both.merge(sources(set.validation));
  EXPECT_EQ(both.size(), 1347U) << "an image is in both splits";
  expect_same_images(set.train, whole.train, all);
  expect_same_images(set.validation, whole.train, all);

  const Dataset again = load("digits", {{"validation", std::int64_t{200}}});
  EXPECT_EQ(again.validation.source_index, set.validation.source_index);
  EXPECT_EQ(again.train.pixels, set.train.pixels);
  const Dataset other =
      load("digits", {{"validation", std::int64_t{200}}, {"split_seed", std::int64_t{1}}});
  EXPECT_NE(other.validation.source_index, set.validation.source_index);
  // Drawn from the whole range, not cut from one end.
  EXPECT_LT(set.validation.source_index.front(), 100U);
  EXPECT_GT(set.validation.source_index.back(), 1247U);
}

TEST(Selection, ValidationMustLeaveTrainingImages) {
  expect_option_error("validation",
                      {"1347 validation images leave none of the 1347 training images of digits",
                       "help: choose a number below 1347"},
                      [] {
                        load("digits", {{"validation", std::int64_t{1347}}});
                      });
  EXPECT_EQ(load("digits", {{"validation", std::int64_t{1346}}}).train.count(), 1);
}

TEST(Selection, FractionIsPerClassNestedAndKeepsTheValidationImages) {
  const Dataset whole = load("digits", {{"validation", std::int64_t{100}}});
  std::vector<std::int64_t> counts(10, 0);
  for (const auto label : whole.train.labels) ++counts[label];
  std::set<std::uint32_t> smaller;
  for (const double fraction : {0.001, 0.1, 0.5}) {
    SCOPED_TRACE(fraction);
    const Dataset set = load("digits", {{"validation", std::int64_t{100}}, {"fraction", fraction}});
    EXPECT_EQ(set.validation.source_index, whole.validation.source_index);
    std::vector<std::int64_t> kept(10, 0);
    for (const auto label : set.train.labels) ++kept[label];
    for (std::size_t k = 0; k < 10; ++k) {
      EXPECT_EQ(kept[k],
                std::max<std::int64_t>(1, std::llround(fraction * static_cast<double>(counts[k]))));
    }
    expect_same_images(set.train, load("digits").train, all);
    const std::set<std::uint32_t> now = sources(set.train);
    EXPECT_TRUE(std::includes(now.begin(), now.end(), smaller.begin(), smaller.end()));
    smaller = now;
  }
  const Dataset other = load("digits", {{"fraction", 0.1}, {"split_seed", std::int64_t{3}}});
  EXPECT_NE(other.train.source_index, load("digits", {{"fraction", 0.1}}).train.source_index);
}

TEST(Selection, OptionsAreBounded) {
  expect_option_error("fraction", {"0"}, [] { options_of("digits", {{"fraction", 0.0}}); });
  expect_option_error("fraction", {"1.5"}, [] { options_of("digits", {{"fraction", 1.5}}); });
  expect_option_error("validation", {"-1"}, [] {
    options_of("digits", {{"validation", std::int64_t{-1}}});
  });
  expect_option_error("labels", {"unknown option", "split_seed"}, [] {
    options_of("digits", {{"labels", std::string("fine")}});
  });
  expect_option_error("labels", {"\"both\"", "\"fine\", \"coarse\""}, [] {
    options_of("cifar100", {{"labels", std::string("both")}});
  });
}

}  // namespace
}  // namespace qhost::data::testing
