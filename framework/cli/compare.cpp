/// qhost compare: runs side by side.
#include "report/compare.h"
#include "common/lines.h"

#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/scoring.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "qhost/error.h"
#include "report/compared_run.h"
#include "report/summary.h"

namespace qhost::cli {
namespace {

/// The scores that `qhost score RUN --rule RULE` prints.
void add_scores(report::ComparedRun& run, Registry& registry) {
  const ScorableNetwork network =
      scorable_run(run.directory, jobs::experiment_of_run(run.directory, registry), registry);
  std::map<std::string, report::RunScore> scores;
  for (const report::Metric& metric : report::compared_metrics()) {
    if (metric.kind != report::FigureKind::score) continue;
    report::ScoreRequest request;
    request.rule = report::parse_score_rule(metric.rule);
    request.accuracy = accuracy_in(run.result);
    const report::Score found = score(network, request);
    scores[metric.rule] = {found.score, found.qualifies, found.why_not,
                           report::freebie_note(found)};
  }
  // Older versions did not write it.
  if (run.result.bits_per_weight && !run.result.bits_per_input) {
    run.result.bits_per_input = report::summarize(network.graph, network.plans).bits_per_input;
  }
  run.why_dense = network.why_dense;
  run.scores = std::move(scores);
}

/// A run whose plugins are missing is compared without scores.
void score_all(std::vector<report::ComparedRun>& runs, Registry& registry) {
  for (report::ComparedRun& run : runs) {
    try {
      add_scores(run, registry);
    } catch (const Error& error) {
      run.why_no_scores = first_line(error.message());
    }
  }
}

int execute(Context& context, const Arguments& arguments) {
  const std::vector<std::filesystem::path> directories(arguments.positional().begin(),
                                                       arguments.positional().end());
  jobs::ComponentCatalog catalog(context.registry);
  std::vector<report::ComparedRun> runs = report::load_runs(directories, catalog);
  score_all(runs, context.registry);
  print(report::document_of(report::compare(std::move(runs))), arguments.flag("json"));
  return 0;
}

}  // namespace

Command compare_command() {
  return {
      .name = "compare",
      .summary = "runs side by side: accuracy, size, scores, and the keys in which they differ",
      .arguments = "RUN...",
      .details =
          "RUN is a run directory, as runs/NAME/latest or runs/NAME/2*. Of runs that differ only "
          "in\ntrain.seed, their own or that of the run that train.init_from names, the mean and "
          "the sample\nstandard deviation are given. Data are not needed; a run whose plugins are "
          "not there has no\nscores.",
      .declare =
          [](ArgumentSpec& spec) {
            spec.flag("json", "as JSON").positional("run directory", 1, 10000);
          },
      .execute = execute};
}

}  // namespace qhost::cli
