/// What a densenet's options amount to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qhost/options.h"

namespace qhost::densenet {

struct Plan {
  std::string family;
  std::vector<std::int64_t> layers;  ///< of each block
  std::int64_t growth = 12;
  std::int64_t stem = 16;
  bool bottleneck = true;
  double compression = 0.5;
  double dropout = 0;
};

/// Throws OptionError for options that do not fit together.
Plan plan_of(const Options& options);

/// What a transition keeps of `channels`; throws OptionError when that is none.
std::int64_t compressed(std::int64_t channels, double compression);

}  // namespace qhost::densenet
