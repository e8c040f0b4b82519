#include "data/common_options.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "data/known_size.h"
#include "qhost/error.h"
#include "qhost/random.h"

namespace qhost::data {
namespace {

using Indices = std::vector<std::uint32_t>;

void shuffle(Indices& indices, Random random) {
  for (std::size_t i = indices.size(); i-- > 1;) {
    std::swap(indices[i], indices[random.below(i + 1)]);
  }
}

/// Moves the images at `chosen` (ascending) to the front and removes the rest. This avoids a copy
/// of a whole CIFAR set.
void keep(Split& split, const Indices& chosen) {
  if (split.empty()) return;
  const std::size_t size = split.pixels.size() / split.labels.size();
  for (std::size_t to = 0; to < chosen.size(); ++to) {
    const std::size_t from = chosen[to];
    if (from == to) continue;
    std::copy_n(split.pixels.begin() + static_cast<std::ptrdiff_t>(from * size), size,
                split.pixels.begin() + static_cast<std::ptrdiff_t>(to * size));
    split.labels[to] = split.labels[from];
    split.source_index[to] = split.source_index[from];
  }
  split.pixels.resize(chosen.size() * size);
  split.labels.resize(chosen.size());
  split.source_index.resize(chosen.size());
}

void keep_classes(Split& split, const std::vector<int>& new_label) {
  Indices chosen;
  for (std::size_t i = 0; i < split.labels.size(); ++i) {
    if (new_label[split.labels[i]] >= 0) chosen.push_back(static_cast<std::uint32_t>(i));
  }
  keep(split, chosen);
  for (std::uint16_t& label : split.labels) label = static_cast<std::uint16_t>(new_label[label]);
}

void select_classes(Dataset& set, const Options& options) {
  const std::vector<std::int64_t> classes = chosen_classes(options, set.classes);
  std::vector<int> new_label(static_cast<std::size_t>(set.classes), -1);
  std::vector<std::string> names;
  for (std::size_t k = 0; k < classes.size(); ++k) {
    new_label[static_cast<std::size_t>(classes[k])] = static_cast<int>(k);
    names.push_back(set.class_names[static_cast<std::size_t>(classes[k])]);
  }
  for (Split* split : {&set.train, &set.validation, &set.test}) keep_classes(*split, new_label);
  set.class_names = std::move(names);
  set.classes = static_cast<std::int64_t>(classes.size());
}

void split_validation(Dataset& set, std::int64_t count, std::uint64_t seed) {
  const std::int64_t images = set.train.count();
  require_training_images(count, images, set.name);
  Indices order(static_cast<std::size_t>(images));
  std::iota(order.begin(), order.end(), 0U);
  shuffle(order, Random::keyed(seed, "data", "validation"));
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(count);
  Indices validation(order.begin(), middle), train(middle, order.end());
  std::sort(validation.begin(), validation.end());
  std::sort(train.begin(), train.end());
  set.validation = take(set.train, validation);
  set.validation_is_test_images = false;
  keep(set.train, train);
}

void keep_fraction(Dataset& set, double fraction, std::uint64_t seed) {
  std::vector<Indices> by_class(static_cast<std::size_t>(set.classes));
  for (std::size_t i = 0; i < set.train.labels.size(); ++i) {
    by_class[set.train.labels[i]].push_back(static_cast<std::uint32_t>(i));
  }
  Indices chosen;
  for (std::size_t k = 0; k < by_class.size(); ++k) {
    Indices& images = by_class[k];
    if (images.empty()) continue;
    shuffle(images, Random::keyed(seed, "data", "fraction", k));
    const auto kept =
        std::max<long long>(1, std::llround(fraction * static_cast<double>(images.size())));
    chosen.insert(chosen.end(), images.begin(), images.begin() + kept);
  }
  std::sort(chosen.begin(), chosen.end());
  keep(set.train, chosen);
}

}  // namespace

std::vector<Option> common_options() {
  return {
      Option::string(
          "root", "",
          "folder that holds the set's published folder, or that folder itself; \"\" "
          "searches $QHOST_DATA, ./data and the user's qhost/data; an embedded set needs none")
          .not_part_of_result(),
      Option::integers("classes", {},
                       "published labels to keep, relabeled 0, 1, ... in this order; [] keeps all")
          .at_least(0),
      Option::real("fraction", 1.0, "share of the training images of each class that is used")
          .above(0)
          .at_most(1),
      Option::integer("validation", 0,
                      "number of training images set aside to choose the best epoch on")
          .at_least(0),
      Option::integer("split_seed", 0, "decides which images `validation` and `fraction` pick")
          .at_least(0),
  };
}

std::vector<std::int64_t> chosen_classes(const Options& options, std::int64_t total) {
  std::vector<std::int64_t> classes = options.integers("classes");
  if (classes.empty()) {
    classes.resize(static_cast<std::size_t>(total));
    std::iota(classes.begin(), classes.end(), 0);
    return classes;
  }
  const std::string labels = "0.." + std::to_string(total - 1);
  std::vector<bool> seen(static_cast<std::size_t>(total), false);
  for (const std::int64_t label : classes) {
    if (label < 0 || label >= total) {
      throw OptionError("classes", "label " + std::to_string(label) + " is outside " + labels,
                        "the set has " + std::to_string(total) + " classes");
    }
    if (seen[static_cast<std::size_t>(label)]) {
      throw OptionError("classes", "label " + std::to_string(label) + " is given twice",
                        "name each class once");
    }
    seen[static_cast<std::size_t>(label)] = true;
  }
  if (classes.size() < 2) {
    throw OptionError("classes", "1 class leaves nothing to tell apart",
                      "name at least 2 of " + labels);
  }
  return classes;
}

void apply_selection(Dataset& set, const Options& options) {
  const auto seed = static_cast<std::uint64_t>(options.integer("split_seed"));
  if (!options.integers("classes").empty()) select_classes(set, options);
  if (const std::int64_t count = options.integer("validation"); count > 0) {
    split_validation(set, count, seed);
  }
  if (const double fraction = options.real("fraction"); fraction < 1.0) {
    keep_fraction(set, fraction, seed);
  }
}

}  // namespace qhost::data
