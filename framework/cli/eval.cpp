/// qhost eval: evaluates a run's weights again.
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "cli/terminal.h"
#include "jobs/evaluate_run.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

/// The two are no figures of one kind: which it is must be said.
std::string loss_text(const training::MetricsResult& metrics) {
  std::ostringstream text;
  text << "loss " << metrics.loss;
  if (metrics.unsmoothed_loss) {
    text << " with label smoothing, " << *metrics.unsmoothed_loss << " without";
  }
  return text.str();
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  jobs::EvaluationRequest request;
  request.run = arguments.positional().at(0);
  if (!arguments.value("checkpoint").empty()) request.checkpoint = arguments.value("checkpoint");
  if (!arguments.value("split").empty()) request.split = arguments.value("split");
  request.device = arguments.value("device");
  const jobs::EvaluatedRun result = jobs::evaluate_run(request, context.registry);
  const training::MetricsResult& metrics = result.evaluation.metrics;
  for (const std::string& complaint : result.complaints) std::cerr << complaint << "\n";
  if (arguments.flag("json")) {
    nlohmann::json json = {{"checkpoint", result.checkpoint.string()},
                           {"split", request.split},
                           {"samples", metrics.samples},
                           {"per_class", training::to_json(metrics).at("per_class")}};
    json[request.split + "_accuracy"] = metrics.top1;
    json[request.split + "_top5_accuracy"] = metrics.top5;
    json[request.split + "_loss"] = metrics.loss;
    if (metrics.unsmoothed_loss) {
      json[request.split + "_loss_without_label_smoothing"] = *metrics.unsmoothed_loss;
    }
    if (const auto& before = result.evaluation.before_recalibration) {
      json[request.split + "_accuracy_before_bn_recalibration"] = before->top1;
      json[request.split + "_loss_before_bn_recalibration"] = before->loss;
      json["bn_recalibration_batches"] = result.evaluation.recalibration_batches;
    }
    std::cout << json.dump(2) << "\n";
  } else {
    std::cout << request.split << " accuracy " << percent(metrics.top1) << ", top-5 "
              << percent(metrics.top5) << ", " << loss_text(metrics) << ", " << metrics.samples
              << " images, weights of " << result.checkpoint.string() << "\n";
    const std::string recalibration = training::recalibration_text(result.evaluation);
    if (!recalibration.empty()) std::cout << recalibration << "\n";
  }
  return 0;
}

}  // namespace

Command eval_command() {
  return {.name = "eval",
          .summary = "evaluate the weights of a run",
          .arguments = "RUN",
          .details = "RUN is a run directory, as runs/NAME/latest.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("checkpoint",
                           "selected (default: best on validation, else the last), last, best, or "
                           "a step")
                    .value("split", "test (default), validation or train")
                    .value("device", "cpu, cuda or auto; default: the run's")
                    .flag("json", "as JSON")
                    .positional("run directory", 1, 1);
              },
          .execute = execute};
}

}  // namespace qhost::cli
