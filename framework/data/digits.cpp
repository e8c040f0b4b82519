#include "data/digits.h"

#include <cmath>
#include <cstddef>

#include "data/common_options.h"

namespace qhost::data {
namespace {

constexpr std::size_t images = 1797, train_images = 1347, pixels = 64;

/// One image per row: 64 pixels 0..16 as the digits 0-9a-g, the label, the closing zero.
constexpr char rows[images][pixels + 2] = {
#include "data/digits/digits_rows.inc"
};

Split read(std::size_t begin, std::size_t end, std::size_t first_of_split) {
  Split split;
  for (std::size_t i = begin; i < end; ++i) {
    for (std::size_t p = 0; p < pixels; ++p) {
      const char c = rows[i][p];
      const int value = c <= '9' ? c - '0' : c - 'a' + 10;
      split.pixels.push_back(static_cast<std::uint8_t>((255 * value + 8) / 16));
    }
    split.labels.push_back(static_cast<std::uint16_t>(rows[i][pixels] - '0'));
    split.source_index.push_back(static_cast<std::uint32_t>(i - first_of_split));
  }
  return split;
}

/// Mean and std of pixel/255 over a split, from integer sums, which do not depend on the order of
/// additions.
void measure(const Split& split, float& mean, float& std) {
  std::int64_t sum = 0, squares = 0;
  for (const std::uint8_t p : split.pixels) {
    sum += p;
    squares += std::int64_t{p} * p;
  }
  const auto n = static_cast<double>(split.pixels.size());
  const double average = static_cast<double>(sum) / n;
  mean = static_cast<float>(average / 255.0);
  std = static_cast<float>(std::sqrt(static_cast<double>(squares) / n - average * average) / 255.0);
}

Dataset load(const Options& options) {
  Dataset set;
  set.name = "digits";
  set.image = Shape{{1, 8, 8}};
  set.classes = 10;
  for (int k = 0; k < 10; ++k) set.class_names.push_back(std::to_string(k));
  set.train = read(0, train_images, 0);
  set.test = read(train_images, images, train_images);
  set.mean.resize(1);
  set.std.resize(1);
  measure(set.train, set.mean[0], set.std[0]);
  set.provenance =
      "embedded: UCI optdigits.tes (doi.org/10.24432/C50P49) as in scikit-learn's "
      "digits.csv.gz";
  apply_selection(set, options);
  return set;
}

}  // namespace

DatasetInfo digits() {
  DatasetInfo info;
  info.name = "digits";
  info.summary =
      "1,797 handwritten digits of 8x8 gray pixels, 10 classes (1,347 train, 450 test), "
      "embedded";
  info.source =
      "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
      "Repository, 1998; https://doi.org/10.24432/C50P49";
  info.license = "CC BY 4.0";
  info.options = common_options();
  info.image = Shape{{1, 8, 8}};
  info.classes = 10;
  info.class_names = [](const Options&) {
    std::vector<std::string> names;
    for (int k = 0; k < 10; ++k) names.push_back(std::to_string(k));
    return names;
  };
  info.load = load;
  return info;
}

}  // namespace qhost::data
