/// data/known_size.h: the number of training images of an experiment, determined without its data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace qhost::data {

/// The number of images in `train` after load(options), if it follows from the published set alone,
/// whose classes have equal sizes. Empty if `fraction` is rounded in classes that `validation` has
/// made unequal. Throws OptionError, as load() would, for options that do not fit the set.
std::optional<std::int64_t> known_training_images(const DatasetInfo& info, const Options& options);

/// Throws OptionError (validation) if that many validation images leave none of `images`.
void require_training_images(std::int64_t validation, std::int64_t images, const std::string& set);

}  // namespace qhost::data
