/// jobs/preflight.h: the checks of a run before its first step, without a run directory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/dataset.h"
#include "jobs/initial_weights.h"
#include "jobs/run.h"
#include "model/model.h"
#include "qhost/error.h"
#include "registry/registry.h"

namespace qhost::jobs {

/// The result of the checks. run_experiment() makes the same checks and throws at the first fault.
struct Preflight {
  std::vector<Error> faults;       ///< in the order of the checks
  std::optional<Error> no_data;    ///< the data set is missing or damaged
  std::vector<std::string> notes;  ///< warnings of the plan, rendered
};

/// The sets loaded so far, by their [data] and [augment] tables: the points of a sweep share them.
using LoadedSets = std::map<std::string, std::int64_t>;  ///< training images

/// Checks the network, the rules, the augmentation, the data, the batches, the existing run in
/// `request` (--resume, --run-dir, --continue) and the first weights. A failed check does not stop
/// the others. If the data are missing, the published size of the set is used. Writes nothing; the
/// existing run is locked briefly.
Preflight preflight(const config::Experiment& experiment, const RunRequest& request,
                    Registry& registry, LoadedSets& sets);

/// The warnings of run_experiment() for a run without errors: warnings_of(), rendered. `images` is
/// empty and `data` null without the data, `weights` null for random ones.
std::vector<std::string> run_warnings(const config::Experiment& experiment, const Graph& graph,
                                      const Plan& plan, std::optional<std::int64_t> images,
                                      const data::Dataset* data, const InitialWeights* weights);

}  // namespace qhost::jobs
