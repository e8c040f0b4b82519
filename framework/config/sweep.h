/// config/sweep.h: [sweep]: what each of its runs changes in the experiment.
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
  Table changes;          ///< of the experiment's tables
  bool has_seed = false;  ///< one of `seeds`
  std::string group;      ///< then the label without it
};

/// `points`, each once for each of `seeds`; what is wrong with them goes to `diagnostics`.
std::vector<SweepPart> read_sweep(const Entry& sweep, Diagnostics& diagnostics);

}  // namespace qhost::config
