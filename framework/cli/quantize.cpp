/// qhost quantize: a quantizer applied to a trained network, without training.
#include "jobs/quantize_run.h"

#include <iostream>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/sweep_table.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"
#include "report/render.h"

namespace qhost::cli {
namespace {

/// Text: the network before and after. JSON: the result.json of the run.
report::Document document_of(const runs::RunResult& result, const jobs::QuantizeRequest& request) {
  report::Table table("", {{"", "network"},
                           {"", "test accuracy", report::Align::right},
                           {"", "bits/weight", report::Align::right},
                           {"", "bits/input", report::Align::right},
                           {"", "weight bytes", report::Align::right},
                           {"", "run directory"}});
  table.add_row({"float", percent_cell(result.float_test_accuracy), "32.00", "32.00",
                 count_cell(result.float_weight_bytes), request.source.string()});
  table.add_row({result.quantizer.value_or(request.quantizer), percent_cell(result.test_accuracy),
                 bits_cell(result.bits_per_weight), bits_cell(result.bits_per_input),
                 count_cell(result.weight_bytes), result.run_dir.value_or("-")});
  return report::Document().add(report::members_of(to_json(result))).add(std::move(table));
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  const auto& words = arguments.positional();
  jobs::QuantizeRequest request;
  request.source = words.at(0);
  request.quantizer = words.at(1);
  request.overrides.assign(words.begin() + 2, words.end());
  request.run.runs_dir = arguments.value("runs-dir");
  request.run.run_dir = arguments.value("run-dir");
  request.run.command_line = context.command_line;

  ProgressDisplay progress(0);
  const jobs::RunOutcome outcome = jobs::quantize_run(request, context.registry, progress);
  if (outcome.exit_code != 0) progress.note("interrupted; the same command starts anew");
  const report::Document document = document_of(outcome.result, request);
  if (arguments.flag("json")) {
    std::cout << report::render_json(document).dump() << "\n";
  } else {
    print(document, /*as_json=*/false);
  }
  return outcome.exit_code;
}

}  // namespace

Command quantize_command() {
  return {.name = "quantize",
          .summary = "apply a quantizer to a trained network, without training",
          .arguments = "RUN|EXPERIMENT QUANTIZER [KEY=VALUE]...",
          .details =
              "RUN is the directory of a float run, as runs/NAME/latest; an EXPERIMENT names its "
              "weights in\ntrain.init_from. KEY=VALUE is an option of the quantizer, as in bits=4, "
              "or with a table\nin front a key of the experiment, as in calibration.batches=8.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("runs-dir", "the folder that holds all runs (default ./runs)")
                    .value("run-dir", "exactly this run directory")
                    .flag("json", "print result.json as the last line of stdout")
                    .positional("run or experiment, quantizer", 2, 1000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
