#include "data/whiten.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/augment.h"
#include "data/support.h"
#include "data/whitening_cache.h"
#include "qhost/error.h"
#include "qhost/random.h"

namespace qhost::training {
namespace {

namespace fs = std::filesystem;
using data::testing::expect_error;
using data::testing::expect_option_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

data::Split split_of(std::vector<std::uint8_t> pixels, std::int64_t size) {
  data::Split split;
  split.pixels = std::move(pixels);
  const auto count = static_cast<std::uint32_t>(split.pixels.size()) / size;
  for (std::uint32_t i = 0; i < count; ++i) {
    split.labels.push_back(static_cast<std::uint16_t>(i % 3));
    split.source_index.push_back(i);
  }
  return split;
}

data::Split noise(std::int64_t count, std::int64_t size, std::uint64_t key) {
  Random random(key);
  std::vector<std::uint8_t> pixels;
  for (std::int64_t i = 0; i < count * size; ++i) {
    // A pixel is similar to the one before it.
    const auto drawn = static_cast<std::uint8_t>(random.below(256));
    pixels.push_back(i % size == 0 ? drawn
                                   : static_cast<std::uint8_t>((pixels.back() + drawn) / 2));
  }
  return split_of(std::move(pixels), size);
}

at::Tensor rows_of(const data::Split& split) {
  auto* floats = const_cast<float*>(split.floats.data());
  const auto size = static_cast<std::int64_t>(split.floats.size()) / split.count();
  return at::from_blob(floats, {split.count(), size}, at::TensorOptions(at::kFloat))
      .to(at::kDouble);
}

at::Tensor covariance_of(const data::Split& split) {
  const at::Tensor rows = rows_of(split), centered = rows - rows.mean(0, true);
  return centered.t().matmul(centered) / static_cast<double>(split.count());
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

Options table_of(const nlohmann::json& given) {
  Options table;
  table.set("whitening", std::string("gcn_zca"));
  for (const auto& [key, value] : given.items()) {
    if (value.is_boolean()) {
      table.set(key, value.get<bool>());
    } else {
      table.set(key, value.get<double>());
    }
  }
  return table;
}

TEST(Whitening, EqualsNumPy) {
  std::ifstream file(QHOST_SOURCE_DIR "/tests/golden/whitening/gcn_zca.json");
  ASSERT_TRUE(file);
  const auto golden = nlohmann::json::parse(file);
  const auto train = golden.at("train").get<std::size_t>();
  std::vector<std::uint8_t> seen, unseen;
  for (std::size_t i = 0; i < golden.at("pixels").size(); ++i) {
    for (const int pixel : golden.at("pixels")[i]) {
      (i < train ? seen : unseen).push_back(static_cast<std::uint8_t>(pixel));
    }
  }
  ASSERT_EQ(golden.at("cases").size(), 4U);
  for (const auto& one : golden.at("cases")) {
    SCOPED_TRACE(one.at("options").dump());
    const auto options = data::whitening_options(table_of(one.at("options")));
    ASSERT_TRUE(options);
    data::Dataset set;
    set.train = split_of(seen, 18);
    set.test = split_of(unseen, 18);
    data::whiten(set, *options);
    std::vector<double> expected;
    for (const auto& row : one.at("whitened")) {
      for (const double value : row) expected.push_back(value);
    }
    const at::Tensor ours = at::cat({rows_of(set.train), rows_of(set.test)}).flatten();
    ASSERT_EQ(static_cast<std::size_t>(ours.numel()), expected.size());
    EXPECT_LT(largest_difference(ours, at::tensor(expected, at::kDouble)), 5e-6);
  }
}

TEST(Whitening, MakesTheCovarianceTheIdentity) {
  data::WhiteningOptions options;
  options.filter_bias = 1e-7;
  options.subtract_mean = false;
  data::Split split = noise(3000, 12, 1);  // more images than one chunk
  const data::Split before = split;
  data::Whitener(split, options).apply(split);
  EXPECT_LT(rows_of(split).mean(0).abs().max().item<double>(), 1e-4);
  EXPECT_LT(largest_difference(covariance_of(split), at::eye(12, at::kDouble)), 1e-3);

  // Only the brightness of each image is removed.
  options.subtract_mean = true;
  split = before;
  data::Whitener(split, options).apply(split);
  EXPECT_LT(largest_difference(covariance_of(split), at::eye(12, at::kDouble) - 1.0 / 12), 1e-3);
}

TEST(Whitening, ALargerBiasWhitensLess) {
  data::WhiteningOptions options;
  data::Split split = noise(400, 12, 1);
  const data::Split before = split;
  double last = 1;
  for (const double bias : {1e-3, 1.0, 100.0, 1e6}) {
    split = before;
    options.filter_bias = bias;
    data::Whitener(split, options).apply(split);
    const double variance = covariance_of(split).trace().item<double>() / 11;
    EXPECT_LT(variance, last);
    last = variance;
  }
}

TEST(Whitening, IsFittedOnTheTrainingImagesAlone) {
  const auto fitted = [](std::uint64_t others) {
    data::Dataset set;
    set.train = noise(50, 8, 1);
    set.validation = noise(20, 8, others);
    set.test = noise(30, 8, others + 1);
    data::whiten(set, {});
    return set;
  };
  const data::Dataset one = fitted(2), two = fitted(7);
  EXPECT_EQ(one.train.floats, two.train.floats);
  EXPECT_NE(one.test.floats, two.test.floats);
  EXPECT_EQ(one.validation.floats.size(), 20U * 8);
  EXPECT_EQ(one.test.floats.size(), 30U * 8);
  // The result of an image does not depend on the other images or the split.
  const data::Whitener whitener(noise(50, 8, 1), {});
  data::Split test = noise(30, 8, 3);
  whitener.apply(test);
  EXPECT_EQ(test.floats, one.test.floats);
}

TEST(Whitening, TakesThePlaceOfTheBytes) {
  data::Dataset set;
  set.train = noise(50, 8, 1);
  const auto labels = set.train.labels;
  data::whiten(set, {});
  EXPECT_THAT(set.train.pixels, IsEmpty());
  EXPECT_EQ(set.train.labels, labels);
  EXPECT_TRUE(set.validation.empty() && set.validation.floats.empty());
}

TEST(Whitening, RepeatsToTheBit) {
  const auto fitted = [] {
    data::Split split = noise(2500, 48, 3);
    data::Whitener(split, {}).apply(split);
    return split.floats;
  };
  EXPECT_EQ(fitted(), fitted());
}

TEST(Whitening, AnImageWithoutContrastIsNotDivided) {
  data::WhiteningOptions options;
  const at::Tensor flat = at::full({1, 6}, 200.0, at::kDouble);
  EXPECT_EQ(data::normalize_contrast(flat, options).abs().max().item<double>(), 0);
  const at::Tensor ramp = at::arange(6, at::kDouble).unsqueeze(0);
  EXPECT_NEAR(data::normalize_contrast(ramp, options).norm().item<double>(), 55, 1e-12);
  // The divisor is compared after the scale: sqrt(17.5) / 55 = 0.076.
  options.min_divisor = 0.08;
  EXPECT_LT(largest_difference(data::normalize_contrast(ramp, options), ramp - 2.5), 1e-15);
  options.min_divisor = 0.07;
  EXPECT_NEAR(data::normalize_contrast(ramp, options).norm().item<double>(), 55, 1e-12);
}

TEST(Whitening, RefusesWhatHasNoTransform) {
  expect_error(ErrorKind::data,
               {"whitening: a covariance needs 2 training images, there are 1\nhelp: keep more"},
               [] { data::Whitener(noise(1, 8, 1), {}); });
  const data::Split flat = split_of(std::vector<std::uint8_t>(80, 7), 8);
  expect_error(ErrorKind::data, {"all 10 training images are the same", "help: "},
               [&] { data::Whitener(flat, {}); });
  std::vector<std::uint8_t> repeated;
  for (int i = 0; i < 80; ++i) repeated.push_back(static_cast<std::uint8_t>(i % 8 * i % 8 * 30));
  expect_error(ErrorKind::data, {"all 10 training images are the same"},
               [&] { data::Whitener(split_of(repeated, 8), {}); });
  data::WhiteningOptions options;
  options.filter_bias = 1e-30;
  expect_option_error("zca_filter_bias",
                      {"1e-30 leaves a variance of ", "is rounding\nhelp: 0.1 is usual"},
                      [&] { data::Whitener(noise(40, 8, 1), options); });
  options = {};
  options.scale = 1e200;
  options.min_divisor = 1e-300;
  expect_option_error("gcn_scale",
                      {"1e+200 gives variances that are not finite", "help: 55 is usual"},
                      [&] { data::Whitener(noise(40, 8, 1), options); });
  const data::Whitener whitener(noise(40, 8, 1), {});
  data::Split other = noise(4, 9, 1);
  expect_error(ErrorKind::internal, {"fitted on images of 8 pixels, these have 9"},
               [&] { whitener.apply(other); });
}

class WhiteningCache : public ::testing::Test {
 protected:
  WhiteningCache() {
    std::string pattern = (fs::temp_directory_path() / "qhost-whitening-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = pattern;
  }
  ~WhiteningCache() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  data::Dataset whitened(const fs::path& cache, const data::WhiteningOptions& options = {},
                         std::uint64_t key = 1) {
    data::Dataset set;
    set.train = noise(2500, 48, key);
    set.test = noise(30, 48, 9);
    data::whiten(set, options, cache);
    return set;
  }
  std::vector<fs::path> kept() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    return files;
  }
  fs::path folder_;
};

TEST_F(WhiteningCache, TheNextStartHasTheSameBits) {
  const data::Dataset plain = whitened({}), first = whitened(folder_ / "new/folder");
  const auto file = fs::directory_iterator(folder_ / "new/folder")->path();
  const auto written = fs::last_write_time(file);
  const data::Dataset second = whitened(folder_ / "new/folder");
  EXPECT_EQ(fs::last_write_time(file), written);
  for (const data::Dataset* set : {&first, &second}) {
    EXPECT_EQ(set->train.floats, plain.train.floats);
    EXPECT_EQ(set->test.floats, plain.test.floats);
    EXPECT_THAT(set->notes, IsEmpty());
  }
}

// A changed value in the stored file shows in the result, so the file is read.
TEST_F(WhiteningCache, WhatIsKeptIsUsed) {
  const data::Split train = noise(40, 8, 1);
  std::vector<std::string> notes;
  const data::Whitener fitted = data::kept_whitener(train, {}, folder_, notes);
  const fs::path file = folder_ / ("whitening-" + data::whitening_key(train, {}) + ".safetensors");
  ASSERT_TRUE(fs::exists(file));
  data::WhiteningOptions other;
  other.filter_bias = 7;
  const data::Whitener another = data::kept_whitener(train, other, folder_, notes);
  fs::copy_file(folder_ / ("whitening-" + data::whitening_key(train, other) + ".safetensors"), file,
                fs::copy_options::overwrite_existing);
  EXPECT_TRUE(at::equal(data::kept_whitener(train, {}, folder_, notes).matrix(), another.matrix()));
  EXPECT_FALSE(at::equal(fitted.matrix(), another.matrix()));
  EXPECT_THAT(notes, IsEmpty());
}

TEST_F(WhiteningCache, EveryThingThatDecidesTheBitsHasAFileOfItsOwn) {
  whitened(folder_);
  EXPECT_EQ(kept().size(), 1U);
  whitened(folder_, {}, 2);
  EXPECT_EQ(kept().size(), 2U) << "other images";
  std::size_t files = 2;
  const auto expect_another = [&](const char* what, auto change) {
    data::WhiteningOptions options;
    change(options);
    whitened(folder_, options);
    EXPECT_EQ(kept().size(), ++files) << what;
  };
  expect_another("gcn_scale", [](data::WhiteningOptions& o) { o.scale = 54; });
  expect_another("gcn_sqrt_bias", [](data::WhiteningOptions& o) { o.sqrt_bias = 1e-300; });
  expect_another("gcn_min_divisor", [](data::WhiteningOptions& o) { o.min_divisor = 1e-9; });
  expect_another("zca_filter_bias", [](data::WhiteningOptions& o) { o.filter_bias = 0.2; });
  expect_another("gcn_subtract_mean", [](data::WhiteningOptions& o) { o.subtract_mean = false; });
  expect_another("gcn_use_std", [](data::WhiteningOptions& o) { o.use_std = true; });
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 1);
  whitened(folder_);
  at::set_num_threads(threads);
  EXPECT_EQ(kept().size(), ++files) << "threads";
}

TEST_F(WhiteningCache, ADamagedFileIsToldAndWrittenAgain) {
  const data::Dataset plain = whitened(folder_);
  const fs::path file = kept().at(0);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  const auto damage = [&](const std::function<void()>& work) {
    work();
    const data::Dataset again = whitened(folder_);
    EXPECT_EQ(again.train.floats, plain.train.floats);
    EXPECT_THAT(again.notes, ElementsAre(AllOf(HasSubstr("the whitening kept by an earlier start "
                                                         "cannot be used, and is fitted again: "),
                                               HasSubstr(file.string()))));
    EXPECT_THAT(whitened(folder_).notes, IsEmpty()) << "it was not written again";
  };
  damage([&] { fs::resize_file(file, static_cast<std::uintmax_t>(size) / 2); });
  damage([&] { std::ofstream(file) << "no container"; });
  damage([&] {  // one bit of the matrix
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(size - 1);
    const char last = static_cast<char>(stream.get() ^ 1);
    stream.seekp(size - 1);
    stream.put(last);
  });
}

TEST_F(WhiteningCache, WhereNothingCanBeWrittenItIsFittedEachTime) {
  std::ofstream(folder_ / "file") << "in the way";
  const data::Dataset set = whitened(folder_ / "file");
  EXPECT_EQ(set.train.floats, whitened({}).train.floats);
  EXPECT_THAT(set.notes,
              ElementsAre(AllOf(HasSubstr("the whitening cannot be kept for the next start, which "
                                          "will fit it again: cannot make "),
                                HasSubstr((folder_ / "file").string()))));
}

TEST(WhiteningOptions, AreReadFromTheExperimentsTable) {
  EXPECT_FALSE(data::whitening_options({}));
  Options table;
  table.set("whitening", std::string("none"));
  EXPECT_FALSE(data::whitening_options(table));
  const auto defaults = data::whitening_options(table_of({}));
  ASSERT_TRUE(defaults);
  EXPECT_EQ(defaults->scale, 55);
  EXPECT_TRUE(defaults->subtract_mean);
  EXPECT_FALSE(defaults->use_std);
  EXPECT_EQ(defaults->sqrt_bias, 0);
  EXPECT_EQ(defaults->min_divisor, 1e-8);
  EXPECT_EQ(defaults->filter_bias, 0.1);

  const std::vector<std::pair<const char*, double>> wrong = {{"gcn_scale", 0.0},
                                                             {"gcn_sqrt_bias", -1.0},
                                                             {"gcn_min_divisor", NAN},
                                                             {"zca_filter_bias", 0.0}};
  for (const auto& [key, value] : wrong) {
    Options given = table_of({});
    given.set(key, value);
    expect_option_error(key, {"above", "help: "},
                        [&given = given] { data::whitening_options(given); });
  }
  table.set("whitening", std::string("pca"));
  expect_option_error("whitening", {"\"pca\" is not known\nhelp: one of \"none\", \"gcn_zca\""},
                      [&] { data::whitening_options(table); });
}

}  // namespace
}  // namespace qhost::training
