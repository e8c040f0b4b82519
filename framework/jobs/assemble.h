/// jobs/assemble.h: from a validated experiment to the parts that a command works with.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "config/experiment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "registry/registry.h"
#include "report/summary.h"

namespace qhost::jobs {

/// The experiment's network, from the data set's description alone: no data is read. A complaint of
/// the architecture becomes Error (configuration) that points at the line of its option.
Graph build_graph(const config::Experiment& experiment, Registry& registry);

/// Which slots its rules select; a RuleError becomes Error (configuration) at the rule's line.
Plan build_plan(const config::Experiment& experiment, Registry& registry, const Graph& graph);

/// Graph, plan and parameters on the experiment's device. Not yet initialized.
std::unique_ptr<Model> build_model(const config::Experiment& experiment, Registry& registry);

/// The plan as the summary wants it: one entry per quantized node.
std::map<std::string, report::LayerPlan> layer_plans(const Graph& graph, const Plan& plan);

/// Reads the data set, and whitens it where [augment] says so; option errors point at their line.
/// Whitening takes the threads that are set, which must therefore be the run's.
data::Dataset load_data(const config::Experiment& experiment);

}  // namespace qhost::jobs
