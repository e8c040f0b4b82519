/// data/normalization.h: mean and standard deviation of the sets, where they are known without the files.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace qhost::data {

/// Per channel, of pixel/255.
struct Normalization {
  std::vector<float> mean, std;
};

/// Those of Dataset::mean and std for a set with published constants; empty for another, whose
/// images must be read for them.
std::optional<Normalization> known_normalization(std::string_view set);
/// Gives `set` those of the published set `name`.
void normalize_as_published(Dataset& set, std::string_view name);

}  // namespace qhost::data
