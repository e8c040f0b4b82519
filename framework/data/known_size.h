/// data/known_size.h: how many training images an experiment will have, found out without its data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace qhost::data {

/// Images in `train` after load(options), as far as it follows from the published set alone, whose
/// classes are of equal size: nothing where `fraction` is rounded in classes that `validation` has
/// made unequal. Throws OptionError, as load() would, for options that do not fit the set.
std::optional<std::int64_t> known_training_images(const DatasetInfo& info, const Options& options);

/// Throws OptionError (validation) when that many images leave none of `images`.
void require_training_images(std::int64_t validation, std::int64_t images, const std::string& set);

}  // namespace qhost::data
