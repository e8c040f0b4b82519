/// qhost summary: layers, sizes and encodings of an experiment's network; needs no data on disk.
#include "report/summary.h"

#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "model/layer_plans.h"

namespace qhost::cli {
namespace {

int execute(Context& context, const Arguments& arguments) {
  jobs::ComponentCatalog catalog(context.registry);
  const std::vector<std::string> overrides(arguments.positional().begin() + 1,
                                           arguments.positional().end());
  const auto points =
      config::load_experiment_or_throw(arguments.positional().at(0), overrides, catalog);
  PointDocuments documents(arguments.flag("json"), points.size());
  for (const config::SweepPoint& point : points) {
    const Graph graph = jobs::build_graph(point.experiment, context.registry);
    const Plan plan = jobs::build_plan(point.experiment, context.registry, graph);
    for (const std::string& warning : plan.warnings) std::cerr << "warning: " << warning << "\n";
    const report::Summary summary = report::summarize(graph, layer_plans(graph, plan));
    documents.add(point.label, report::document_of(summary, {.every_node = arguments.flag("all")}));
  }
  documents.finish();
  return 0;
}

}  // namespace

Command summary_command() {
  return {.name = "summary",
          .summary = "layers, shapes, parameters, MACs, encodings and bytes of a network",
          .arguments = "EXPERIMENT [KEY=VALUE]...",
          .details = "",
          .declare =
              [](ArgumentSpec& spec) {
                spec.flag("all", "also nodes without parameters")
                    .flag("json", "as JSON; an array for a sweep")
                    .positional("experiment file", 1, 1000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
