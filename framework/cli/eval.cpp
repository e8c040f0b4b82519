/// qhost eval: evaluates a run's weights again.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/terminal.h"
#include "common/number_text.h"
#include "jobs/evaluate_run.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

/// Loss with and without label smoothing do not compare: the text says which it is.
std::string loss_text(const training::MetricsResult& metrics) {
  const std::string text = "loss " + significant(metrics.loss);
  if (!metrics.unsmoothed_loss) return text;
  return text + " with label smoothing, " + significant(*metrics.unsmoothed_loss) + " without";
}

report::Document document_of(const jobs::EvaluatedRun& run, const std::string& split) {
  const training::MetricsResult& metrics = run.evaluation.metrics;
  report::Facts facts{{{"checkpoint", run.checkpoint.string()},
                       {"split", split},
                       {"samples", metrics.samples},
                       {"per_class", training::to_json(metrics).at("per_class")},
                       {split + "_accuracy", metrics.top1},
                       {split + "_top5_accuracy", metrics.top5},
                       {split + "_loss", metrics.loss}}};
  if (metrics.unsmoothed_loss) {
    facts.facts.push_back({split + "_loss_without_label_smoothing", *metrics.unsmoothed_loss});
  }
  if (const auto& before = run.evaluation.before_recalibration) {
    facts.facts.push_back({split + "_accuracy_before_bn_recalibration", before->top1});
    facts.facts.push_back({split + "_loss_before_bn_recalibration", before->loss});
    facts.facts.push_back({"bn_recalibration_batches", run.evaluation.recalibration_batches});
  }
  report::Document document;
  document.add(std::move(facts))
      .add(report::Paragraph{split + " accuracy " + percent(metrics.top1) + ", top-5 " +
                             percent(metrics.top5) + ", " + loss_text(metrics) + ", " +
                             std::to_string(metrics.samples) + " images, weights of " +
                             run.checkpoint.string()});
  const std::string recalibration = training::recalibration_text(run.evaluation);
  if (!recalibration.empty()) document.add(report::Paragraph{recalibration});
  return document;
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  jobs::EvaluationRequest request;
  request.run = arguments.positional().at(0);
  if (!arguments.value("checkpoint").empty()) request.checkpoint = arguments.value("checkpoint");
  if (!arguments.value("split").empty()) request.split = arguments.value("split");
  request.device = arguments.value("device");
  request.overrides.assign(arguments.positional().begin() + 1, arguments.positional().end());
  jobs::EvaluatedRun result;
  {
    ProgressDisplay progress;
    result = jobs::evaluate_run(request, context.registry, progress);
  }
  print(document_of(result, request.split), arguments.flag("json"));
  return 0;
}

}  // namespace

Command eval_command() {
  return {.name = "eval",
          .summary = "evaluate the weights of a run",
          .arguments = "RUN [data.root=FOLDER]",
          .details =
              "RUN is a run directory, as runs/NAME/latest. data.root is the place of its data set "
              "on this\nmachine; a warning says if the files are others than the run's.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("checkpoint", checkpoint_help)
                    .value("split", "test (default), validation or train")
                    .value("device", "cpu, cuda or auto; default: the run's")
                    .flag("json", "as JSON")
                    .positional("run directory", 1, 2);
              },
          .execute = execute};
}

}  // namespace qhost::cli
