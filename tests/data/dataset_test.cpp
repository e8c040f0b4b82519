#include "data/dataset.h"

#include <algorithm>
#include <cmath>

#include "black_images.h"
#include "data/add_dataset.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

using ::testing::ElementsAre;

TEST(Datasets, AreListedByName) {
  std::vector<std::string> names;
  for (const DatasetInfo& info : datasets()) {
    names.push_back(info.name);
    EXPECT_EQ(find_dataset(info.name), &info);
    EXPECT_FALSE(info.summary.empty());
    EXPECT_FALSE(info.source.empty());
    EXPECT_FALSE(info.license.empty());
  }
  EXPECT_THAT(names, ElementsAre("cifar10", "cifar100", "digits", "fashion_mnist", "minicifar"));
  EXPECT_EQ(find_dataset("cifar"), nullptr);
}

TEST(Datasets, ATakenNameIsRefused) {
  expect_error(ErrorKind::internal,
               {"there is a data set `digits` already", "help: give the new one another name"},
               [] { add_dataset({.name = "digits"}); });
}

TEST(Datasets, ContextNeedsNoData) {
  const Variable nowhere("QHOST_DATA", "/nonexistent");
  for (const DatasetInfo& info : datasets()) {
    const DataContext c = context(info, options_of(info.name, {}));
    EXPECT_EQ(c.image, info.image) << info.name;
    EXPECT_EQ(c.classes, info.classes) << info.name;
    EXPECT_EQ(info.class_names(options_of(info.name, {})).size(),
              static_cast<std::size_t>(info.classes));
  }
  const DatasetInfo& cifar = *find_dataset("cifar10");
  EXPECT_EQ(
      context(cifar, options_of("cifar10", {{"classes", std::vector<std::int64_t>{3, 5}}})).classes,
      2);
  const DatasetInfo& hundred = *find_dataset("cifar100");
  EXPECT_EQ(context(hundred, options_of("cifar100", {{"labels", "coarse"}})).classes, 20);
}

TEST(Datasets, ContextRefusesAWrongLabelSubset) {
  const auto with = [](const std::string& set, std::vector<std::int64_t> classes) {
    return [set, classes] { context(*find_dataset(set), options_of(set, {{"classes", classes}})); };
  };
  expect_option_error("classes", {"label 10 is outside 0..9", "help: the set has 10 classes"},
                      with("cifar10", {1, 10}));
  expect_option_error("classes", {"label 4 is outside 0..3"}, with("minicifar", {0, 4}));
  expect_option_error("classes", {"label 7 is given twice", "help: "}, with("digits", {7, 3, 7}));
  expect_option_error("classes", {"1 class leaves nothing to tell apart", "0..99"},
                      with("cifar100", {12}));
  expect_option_error("classes", {"-1"}, with("digits", {-1, 2}));
}

TEST(Digits, AreTheUciImages) {
  const Dataset set = load("digits");
  EXPECT_EQ(set.name, "digits");
  EXPECT_EQ(set.image, (Shape{{1, 8, 8}}));
  EXPECT_EQ(set.classes, 10);
  ASSERT_EQ(set.train.count(), 1347);
  ASSERT_EQ(set.test.count(), 450);
  EXPECT_TRUE(set.validation.empty());
  EXPECT_EQ(set.train.pixels.size(), 1347U * 64);
  EXPECT_EQ(set.test.pixels.size(), 450U * 64);
  // The first image in the published file: 0,0,5,13,9,1,0,0, a zero; 255 x / 16 rounded.
  const std::vector<int> head(set.train.pixels.begin(), set.train.pixels.begin() + 8);
  EXPECT_THAT(head, ElementsAre(0, 0, 80, 207, 143, 16, 0, 0));
  EXPECT_THAT(std::vector<int>(set.train.labels.begin(), set.train.labels.begin() + 10),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(set.train.source_index.back(), 1346U);
  EXPECT_EQ(set.test.source_index.front(), 0U);
  // The class counts of the 1,797 images, as published.
  std::vector<int> counts(10, 0);
  for (const Split* split : {&set.train, &set.test}) {
    for (const auto label : split->labels) ++counts[label];
  }
  EXPECT_THAT(counts, ElementsAre(178, 182, 177, 183, 181, 182, 181, 179, 174, 180));
  EXPECT_EQ(*std::max_element(set.test.pixels.begin(), set.test.pixels.end()), 255);
  EXPECT_EQ(set.remark, "");
}

TEST(Digits, MeanAndDeviationAreThoseOfTheTrainingImages) {
  const Dataset set = load("digits", {{"classes", std::vector<std::int64_t>{1, 2}}});
  const Dataset whole = load("digits");
  double sum = 0, squares = 0;
  for (const double p : whole.train.pixels) sum += p / 255;
  const double n = static_cast<double>(whole.train.pixels.size());
  for (const double p : whole.train.pixels) squares += (p / 255 - sum / n) * (p / 255 - sum / n);
  ASSERT_EQ(set.mean.size(), 1U);
  EXPECT_NEAR(set.mean[0], sum / n, 1e-6);
  EXPECT_NEAR(set.std[0], std::sqrt(squares / n), 1e-6);
}

TEST(Take, KeepsPixelsLabelsAndSourcesTogether) {
  const Dataset set = load("digits");
  const Split some = take(set.train, {5, 0, 5});
  EXPECT_THAT(some.labels,
              ElementsAre(set.train.labels[5], set.train.labels[0], set.train.labels[5]));
  EXPECT_THAT(some.source_index, ElementsAre(5, 0, 5));
  EXPECT_TRUE(
      std::equal(some.pixels.begin(), some.pixels.begin() + 64, set.train.pixels.begin() + 5 * 64));
  EXPECT_EQ(some.pixels.size(), 3U * 64);
  EXPECT_TRUE(some.floats.empty());
  EXPECT_TRUE(take(set.train, {}).empty());

  Split whitened;
  whitened.labels = {4, 5, 6};
  whitened.source_index = {0, 1, 2};
  whitened.floats = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(take(whitened, {2, 0}).floats, ElementsAre(5, 6, 1, 2));
}

/// The images and their labels, as text.
std::string content(const Dataset& set) {
  std::string text = std::to_string(set.classes);
  for (const std::string& name : set.class_names) text += " " + name;
  for (const Split* split : {&set.train, &set.validation, &set.test}) {
    text += "|";
    for (const std::uint32_t index : split->source_index) text += std::to_string(index) + " ";
    for (const std::uint16_t label : split->labels) text += static_cast<char>('0' + label);
  }
  return text;
}

/// CIFAR-10 with the labels 0 .. 9 in a cycle.
void make_labeled_cifar10(const fs::path& folder) {
  make_sparse_cifar10(folder);
  for (const PublishedFile& file : cifar10_files().files) {
    if (!file.name.ends_with(".bin") || file.bytes != 30730000) continue;
    std::fstream stream(folder / file.name, std::ios::binary | std::ios::in | std::ios::out);
    for (int record = 0; record < 10000; ++record) {
      stream.seekp(std::streamoff{3073} * record);
      stream.put(static_cast<char>(record % 10));
    }
  }
}

// For every option of a set, under the settings that it needs: another value loads other images.
TEST(Datasets, EachOptionOfEachSetChangesWhatIsLoaded) {
  using Given = std::map<std::string, OptionValue>;
  const std::map<std::string, Given> values = {
      {"classes", {{"classes", std::vector<std::int64_t>{2, 0}}}},
      {"fraction", {{"fraction", 0.5}}},
      {"validation", {{"validation", std::int64_t{100}}}},
      {"split_seed", {{"split_seed", std::int64_t{1}}}},
      {"course_images", {{"course_images", std::int64_t{100}}}},
      {"labels", {{"labels", std::string("coarse")}}},
  };
  const std::map<std::string, Given> needed = {{"split_seed", {{"validation", std::int64_t{100}}}}};
  const Folder root;
  make_labeled_cifar10(root / "cifar-10-batches-bin");
  make_sparse_cifar100(root / "cifar-100-binary");
  make_black_images(root / "fashion-mnist");
  for (const DatasetInfo& info : datasets()) {
    const auto loaded = [&](Given given) {
      if (info.files != nullptr) given["root"] = root.path().string();
      return content(load(info.name, given));
    };
    const std::string plain = loaded({});
    for (const Option& option : info.options) {
      SCOPED_TRACE(info.name + " " + option.name());
      if (option.name() == "root") {
        EXPECT_FALSE(option.part_of_result());
        continue;
      }
      const auto value = values.find(option.name());
      ASSERT_NE(value, values.end()) << "a new option needs a value here";
      Given both = value->second;
      std::string before = plain;
      if (const auto need = needed.find(option.name()); need != needed.end()) {
        both.insert(need->second.begin(), need->second.end());
        before = loaded(need->second);
      }
      EXPECT_TRUE(loaded(both) != before) << "the option is not read";
    }
  }
}

}  // namespace
}  // namespace qhost::data::testing
