/// jobs/nearest_variant.h: of which variant of an architecture are these weights?
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "qhost/architecture.h"
#include "qhost/graph.h"

namespace qhost::jobs {

/// Options of an architecture whose network fits given weights better.
struct Variant {
  std::map<std::string, OptionValue> changed;  ///< what to set in [model]
  std::int64_t tensors = 0;                    ///< of this variant's network
  std::int64_t differing =
      0;                   ///< missing, unexpected or of another shape, without the classifier's
  std::string classifier;  ///< the last layer, if only its number of classes differs
};

/// Tries the choices, truth values and integers of the architecture's options, one of each kind at
/// a time and then those of the best anew, and compares names and shapes with the file's, under the
/// network's own names and all published ones. Empty if no variant halves the number of tensors
/// that differ from `graph`'s, or if none fits at least half of its own. Takes up to a few seconds.
std::optional<Variant> nearest_variant(const std::map<std::string, at::Tensor>& tensors,
                                       const Architecture& architecture, const Options& options,
                                       const Graph& graph);

/// "set model.depth = 56: all 287 tensors fit", as a help.
std::string to_text(const Variant& variant);

}  // namespace qhost::jobs
