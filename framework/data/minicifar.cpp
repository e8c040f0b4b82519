#include "data/minicifar.h"

#include <cstddef>
#include <utility>

#include "data/cifar.h"
#include "data/common_options.h"
#include "data/normalization.h"
#include "data/numpy_random.h"
#include "qhost/error.h"

namespace qhost::data {
namespace {

constexpr int classes = 4;
constexpr std::uint32_t course_seed = 42;

Split reduced(const Split& from, const char* what, std::uint32_t per_class, std::uint32_t keep) {
  std::vector<std::vector<std::uint32_t>> by_class(classes);
  for (std::size_t i = 0; i < from.labels.size(); ++i) {
    if (from.labels[i] < classes) by_class[from.labels[i]].push_back(static_cast<std::uint32_t>(i));
  }
  const std::vector<std::uint32_t> positions = numpy_choice(course_seed, per_class, keep);
  std::vector<std::uint32_t> chosen;
  for (std::size_t k = 0; k < classes; ++k) {
    if (by_class[k].size() != per_class) {
      throw Error(ErrorKind::data,
                  "minicifar: class " + std::to_string(k) + " has " +
                      std::to_string(by_class[k].size()) + " " + what + " images, not " +
                      std::to_string(per_class),
                  "its images are picked by position among those of the published CIFAR-10; unpack "
                  "the archive again");
    }
    for (const std::uint32_t position : positions) chosen.push_back(by_class[k][position]);
  }
  return take(from, chosen);
}

}  // namespace

void reduce_to_minicifar(Dataset& set) {
  set.name = "minicifar";
  set.validation = reduced(set.test, "test", 1000, 200);
  set.test = reduced(set.test, "test", 1000, 1000);
  set.train = reduced(set.train, "training", 5000, 1000);
  set.validation_is_test_images = true;
  set.classes = classes;
  set.class_names.assign(cifar10_names().begin(), cifar10_names().begin() + classes);
  normalize_as_published(set, "minicifar");
}

DatasetInfo minicifar() {
  DatasetInfo info = cifar10();
  info.name = "minicifar";
  info.summary =
      "the first 4 classes of CIFAR-10, reduced (4,000 train, 800 validation that are also "
      "among the 4,000 test)";
  info.source += "; reduced as in minicifar.py of https://github.com/brain-bzh/ai-optim";
  info.classes = classes;
  info.options = common_options();
  for (Option& option : info.options) {
    if (option.name() != "validation") continue;
    option =
        Option::integer("validation", 0,
                        "number of training images set aside to choose the best epoch on; 0 keeps "
                        "the course's 800, which are test images")
            .at_least(0);
  }
  info.class_names = [](const Options&) {
    return std::vector<std::string>(cifar10_names().begin(), cifar10_names().begin() + classes);
  };
  // Load the whole set, so that the options act on the reduced set.
  info.load = [whole = std::move(info.load), declared = cifar10().options](const Options& options) {
    Dataset set = whole(Options::from(declared, {{"root", options.string("root")}}));
    reduce_to_minicifar(set);
    apply_selection(set, options);
    return set;
  };
  return info;
}

}  // namespace qhost::data
