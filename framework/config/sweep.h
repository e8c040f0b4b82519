/// config/sweep.h: reads [sweep]: the changes of each run.
#pragma once

#include <string>
#include <vector>

#include "config/check.h"
#include "config/value.h"

namespace qhost::config {

struct SweepPart {
  std::string label;
  Span label_span;
  bool own_label = false;
  Table changes;          ///< changes of the experiment's tables
  bool has_seed = false;  ///< its seed is one of `seeds`
  std::string group;      ///< with has_seed: the label without the seed
};

/// Returns every point of `points` with every seed of `seeds`; errors go to `diagnostics`.
std::vector<SweepPart> read_sweep(const Entry& sweep, Diagnostics& diagnostics);

}  // namespace qhost::config
