/// qhost summary: layers, sizes and encodings of an experiment's network; needs no data on disk.
#include "report/summary.h"
#include "common/number_text.h"

#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "model/layer_plans.h"

namespace qhost::cli {
namespace {

std::vector<report::Column> line_columns() {
  using report::Align;
  return {{"", "parameters", Align::right},   {"", "MACs", Align::right},
          {"", "bits/weight", Align::right},  {"", "bits/input", Align::right},
          {"", "weight bytes", Align::right}, {"", "bytes", Align::right}};
}

std::vector<report::Cell> line_of(const report::Summary& summary) {
  return {with_separators(summary.parameters),   with_separators(summary.macs),
          fixed(summary.bits_per_weight, 2),     fixed(summary.bits_per_input, 2),
          with_separators(summary.weight_bytes), with_separators(summary.bytes)};
}

int execute(Context& context, const Arguments& arguments) {
  jobs::ComponentCatalog catalog(context.registry);
  const std::vector<std::string> overrides(arguments.positional().begin() + 1,
                                           arguments.positional().end());
  const auto points =
      config::load_experiment_or_throw(arguments.positional().at(0), overrides, catalog);
  const bool every_node = arguments.flag("all");
  PointDocuments documents(arguments.flag("json"), arguments.flag("layers") || every_node,
                           points.size(), line_columns());
  for (const config::SweepPoint& point : points) {
    const Graph graph = jobs::build_graph(point.experiment, context.registry);
    const Plan plan = jobs::build_plan(point.experiment, context.registry, graph);
    for (const std::string& warning : jobs::plan_warnings(point.experiment, plan)) {
      std::cerr << warning << "\n";
    }
    const report::Summary summary = report::summarize(graph, layer_plans(graph, plan));
    documents.add(point.label, line_of(summary),
                  report::document_of(summary, {.every_node = every_node}));
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
                spec.flag("layers", "of a sweep: the layers of every point")
                    .flag("all", "also nodes without parameters")
                    .flag("json", "as JSON; an array for a sweep")
                    .positional("experiment file", 1, 1000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
