/// jobs/assemble.h: builds the parts of a command from a validated experiment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "registry/registry.h"

namespace qhost::jobs {

/// The network of the experiment, from the description of the data set: no data are read. An error
/// of the architecture becomes Error (configuration) at the line of its option.
Graph build_graph(const config::Experiment& experiment, Registry& registry);

/// The network of an architecture with these options. Throws OptionError or Error (configuration)
/// for options that do not fit together or the image, Error (plugin) for what else its plugin
/// throws.
Graph build_graph(const Architecture& architecture, const std::string& plugin,
                  const Options& options, const Shape& image, std::int64_t classes);

/// The slots that the rules select; a RuleError becomes Error (configuration) at the rule's line.
Plan build_plan(const config::Experiment& experiment, Registry& registry, const Graph& graph);

/// The plan's warnings, each at the place of the rule that it is about: lines for the user.
std::vector<std::string> plan_warnings(const config::Experiment& experiment, const Plan& plan);

/// Graph, plan and parameters on the experiment's device, not yet initialized.
std::unique_ptr<Model> build_model(const config::Experiment& experiment, Registry& registry);

/// Reads the data set and whitens it if [augment] says so; option errors are shown at their line.
/// Whitening uses the current number of threads, which must therefore be the run's.
data::Dataset load_data(const config::Experiment& experiment);

}  // namespace qhost::jobs
