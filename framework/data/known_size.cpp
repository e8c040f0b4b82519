#include "data/known_size.h"

#include <algorithm>
#include <cmath>

#include "data/cifar.h"
#include "data/common_options.h"
#include "data/fashion_mnist.h"
#include "qhost/error.h"

namespace qhost::data {
namespace {

std::int64_t images(const CifarLayout& layout) {
  std::int64_t sum = 0;
  for (const CifarFile& file : layout.train) sum += file.records;
  return sum;
}

/// The size of the published training set; empty for a set without files, which can simply be
/// loaded.
std::optional<std::int64_t> published_images(const std::string& set) {
  if (set == "cifar10") return images(cifar10_layout());
  if (set == "cifar100") return images(cifar100_layout());
  if (set == "fashion_mnist") return fashion_mnist_layout().train;
  if (set == "minicifar") return 4000;  // data/minicifar.h: 1000 of each class
  return {};
}

}  // namespace

void require_training_images(std::int64_t validation, std::int64_t images, const std::string& set) {
  if (validation < images) return;
  throw OptionError("validation",
                    std::to_string(validation) + " validation images leave none of the " +
                        std::to_string(images) + " training images of " + set,
                    "choose a number below " + std::to_string(images));
}

std::optional<std::int64_t> known_training_images(const DatasetInfo& info, const Options& options) {
  const std::optional<std::int64_t> published = published_images(info.name);
  const auto total = static_cast<std::int64_t>(info.class_names(options).size());
  const auto kept = static_cast<std::int64_t>(chosen_classes(options, total).size());
  if (!published) return {};
  std::int64_t count = *published;
  if (options.has("course_images") && options.integer("course_images") > 0) {
    // A random draw from the set: the sizes of its classes are unknown.
    if (kept != total || options.real("fraction") < 1) return {};
    count = options.integer("course_images");
  }
  count = count / total * kept;
  const std::int64_t validation = options.integer("validation");
  require_training_images(validation, count, info.name);
  const double fraction = options.real("fraction");
  if (fraction >= 1) return count - validation;
  if (validation > 0) return {};
  const auto of_class = static_cast<double>(count / kept);
  return kept * std::max<std::int64_t>(1, std::llround(fraction * of_class));
}

}  // namespace qhost::data
