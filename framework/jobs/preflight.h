/// jobs/preflight.h: all that a run finds out before its first step, without a run directory.
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

/// The checks of run_experiment(), each of which throws there what is collected here.
struct Preflight {
  std::vector<Error> faults;       ///< in the order in which they were found
  std::optional<Error> no_data;    ///< the data set is not there or damaged
  std::vector<std::string> notes;  ///< the plan's, rendered warnings
};

/// Sets that were loaded, by what [data] and [augment] say: the points of a sweep share them.
using LoadedSets = std::map<std::string, std::int64_t>;  ///< training images

/// Checks the network, the rules, the augmentation, the data, the batches, the run that `request`
/// names (--resume, --run-dir, --continue) and the first weights: each though another one fails.
/// Without the data their published size counts. Nothing is written; the run that is named is
/// locked for the moment.
Preflight preflight(const config::Experiment& experiment, const RunRequest& request,
                    Registry& registry, LoadedSets& sets);

/// What run_experiment() tells about a run that nothing is wrong with: warnings_of(), rendered.
/// `images` is empty without the data, `weights` null for drawn ones.
std::vector<std::string> run_warnings(const config::Experiment& experiment, const Graph& graph,
                                      const Plan& plan, std::optional<std::int64_t> images,
                                      const InitialWeights* weights);

}  // namespace qhost::jobs
