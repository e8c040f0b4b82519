// Compares the number of training images, computed without the data, with the selection of a set.
#include "data/known_size.h"

#include <gmock/gmock.h>

#include "data/common_options.h"
#include "qhost/error.h"

namespace qhost::data {
namespace {

using ::testing::HasSubstr;

/// A set without files: equal numbers of each label, empty pixels.
Dataset unread(const DatasetInfo& info, const Options& options, std::int64_t images) {
  Dataset set;
  set.name = info.name;
  set.class_names = info.class_names(options);
  set.classes = static_cast<std::int64_t>(set.class_names.size());
  set.image = info.image;
  for (std::int64_t i = 0; i < images; ++i) {
    set.train.labels.push_back(static_cast<std::uint16_t>(i % set.classes));
    set.train.source_index.push_back(static_cast<std::uint32_t>(i));
  }
  return set;
}

TEST(KnownSize, IsThatOfTheSelection) {
  using Values = std::map<std::string, OptionValue>;
  const std::vector<Values> selections = {
      {},
      {{"validation", std::int64_t{5000}}},
      {{"classes", std::vector<std::int64_t>{3, 1, 2}}},
      {{"classes", std::vector<std::int64_t>{3, 1}}, {"validation", std::int64_t{17}}},
      {{"fraction", 0.1}},
      {{"fraction", 0.00001}},
      {{"fraction", 0.3333}, {"classes", std::vector<std::int64_t>{0, 3}}},
  };
  const std::vector<std::pair<std::string, std::int64_t>> sets = {
      {"cifar10", 50000}, {"cifar100", 50000}, {"fashion_mnist", 60000}};
  for (const auto& [name, images] : sets) {
    const DatasetInfo* info = find_dataset(name);
    for (std::size_t i = 0; i < selections.size(); ++i) {
      const Options options = Options::from(info->options, selections[i]);
      Dataset set = unread(*info, options, images);
      apply_selection(set, options);
      EXPECT_EQ(known_training_images(*info, options), set.train.count()) << name << ' ' << i;
    }
  }
}

TEST(KnownSize, SaysNothingWhereTheDataDecide) {
  const DatasetInfo* cifar = find_dataset("cifar10");
  const auto known = [](const DatasetInfo* info, const std::map<std::string, OptionValue>& values) {
    return known_training_images(*info, Options::from(info->options, values));
  };
  EXPECT_EQ(known(cifar, {{"fraction", 0.5}, {"validation", std::int64_t{10}}}), std::nullopt);
  EXPECT_EQ(known(cifar, {{"course_images", std::int64_t{15000}}}), 15000);
  EXPECT_EQ(known(cifar, {{"course_images", std::int64_t{15000}}, {"fraction", 0.5}}),
            std::nullopt);
  EXPECT_EQ(known(find_dataset("minicifar"), {}), 4000);
  EXPECT_EQ(known(find_dataset("digits"), {}), std::nullopt) << "embedded: it can be loaded";
}

TEST(KnownSize, OptionsThatDoNotFitAreRefusedAsByTheSet) {
  const DatasetInfo* info = find_dataset("cifar10");
  const auto refused = [&](const std::map<std::string, OptionValue>& values) {
    try {
      known_training_images(*info, Options::from(info->options, values));
    } catch (const OptionError& error) {
      return error.option() + ": " + error.what();
    }
    return std::string("nothing");
  };
  EXPECT_THAT(refused({{"validation", std::int64_t{50000}}}),
              HasSubstr("validation: 50000 validation images leave none of the 50000 training "
                        "images of cifar10\nhelp: choose a number below 50000"));
  EXPECT_THAT(refused({{"classes", std::vector<std::int64_t>{1, 40}}}),
              HasSubstr("label 40 is outside 0..9"));
}

}  // namespace
}  // namespace qhost::data
