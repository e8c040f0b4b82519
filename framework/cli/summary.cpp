/// qhost summary: layers, sizes and encodings of the network of an experiment or a run; needs no
/// data on disk.
#include "report/summary.h"
#include "common/number_text.h"

#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/subject.h"
#include "jobs/assemble.h"
#include "jobs/export_run.h"
#include "model/layer_plans.h"
#include "packed/program_file.h"
#include "qhost/error.h"

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

/// The tensors of the run's packed file. Without one it prints the reason on stderr.
std::optional<std::int64_t> file_bytes(const std::filesystem::path& run, Registry& registry) {
  try {
    return packed::data_bytes(jobs::export_run({.run = run}, registry).program);
  } catch (const Error& error) {
    std::cerr << "note: the bytes of a packed file are not known: " << error.message() << "\n";
    return std::nullopt;
  }
}

int execute(Context& context, const Arguments& arguments) {
  const auto points = points_of(arguments, context.registry);
  const std::filesystem::path subject = arguments.positional().at(0);
  const bool is_run = std::filesystem::is_directory(subject);
  const bool every_node = arguments.flag("all");
  PointDocuments documents(arguments.flag("json"), arguments.flag("layers") || every_node,
                           points.size(), line_columns());
  for (const config::SweepPoint& point : points) {
    const Graph graph = jobs::build_graph(point.experiment, context.registry);
    const Plan plan = jobs::build_plan(point.experiment, context.registry, graph);
    for (const std::string& warning : jobs::plan_warnings(point.experiment, plan)) {
      std::cerr << warning << "\n";
    }
    report::Summary summary = report::summarize(graph, layer_plans(graph, plan));
    if (is_run) summary.file_bytes = file_bytes(subject, context.registry);
    documents.add(point.label, line_of(summary),
                  report::document_of(summary, {.every_node = every_node}));
  }
  documents.finish();
  return 0;
}

}  // namespace

Command summary_command() {
  return {
      .name = "summary",
      .summary = "layers, shapes, parameters, MACs, encodings and bytes of a network",
      .arguments = "EXPERIMENT|RUN [KEY=VALUE]...",
      .details =
          "Of a run directory, as runs/NAME/latest, it tells also the bytes of its packed file\n"
          "(`qhost export`).",
      .declare =
          [](ArgumentSpec& spec) {
            spec.flag("layers", "of a sweep: the layers of every point")
                .flag("all", "also nodes without parameters")
                .flag("json", "as JSON; an array for a sweep")
                .positional("experiment file or run", 1, 1000);
          },
      .execute = execute};
}

}  // namespace qhost::cli
