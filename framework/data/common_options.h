/// data/common_options.h: the options that every data set has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "qhost/options.h"

namespace qhost::data {

/// root, classes, fraction, validation, split_seed.
std::vector<Option> common_options();

/// The published labels to keep, in the order of their new labels: the option `classes`, or all.
/// Throws OptionError for a label outside 0..total-1, a repeated label, or a single one.
std::vector<std::int64_t> chosen_classes(const Options& options, std::int64_t total);

/// Applies the options, in this order, to a complete set whose `class_names`, `classes` and splits
/// are the published ones:
///   classes     all splits keep only these classes, relabeled 0..k-1 in the given order
///   validation  N training images, drawn by split_seed, become the validation split (0 keeps the
///               validation split that the set itself defines)
///   fraction    each class keeps the first round(fraction * n), but at least one, of a permutation
///               of its remaining n training images, keyed by split_seed: a smaller fraction is a
///               subset of a larger one, and all fractions have the same validation images
/// Images keep the order of the set. Throws OptionError if no training image would be left.
void apply_selection(Dataset& set, const Options& options);

}  // namespace qhost::data
