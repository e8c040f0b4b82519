/// data/common_options.h: what every data set lets an experiment choose.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "qhost/options.h"

namespace qhost::data {

/// root, classes, fraction, validation, split_seed: every set takes them.
std::vector<Option> common_options();

/// The published labels that stay, in the order of their new labels: the option `classes`, or all.
/// Throws OptionError for a label outside 0..total-1, a repeated one, or a single one.
std::vector<std::int64_t> chosen_classes(const Options& options, std::int64_t total);

/// Applies the options to a complete set whose `class_names`, `classes` and splits are the
/// published ones, in this order:
///   classes     all splits keep only these, relabeled 0..k-1 in the given order
///   validation  N training images, drawn by split_seed, become the validation split (0 leaves what
///               the set itself defines)
///   fraction    of each class's remaining training images the first round(fraction * n), but at
///               least one, of a permutation keyed by split_seed stay: a smaller fraction is a
///               subset of a larger one, and all fractions share their validation images
/// Images keep the set's order. Throws OptionError when nothing would be left to train on.
void apply_selection(Dataset& set, const Options& options);

}  // namespace qhost::data
