/// qhost score: what an experiment's network, or a run's, scores under a rule.
#include "report/score.h"
#include "common/number_text.h"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/scoring.h"
#include "cli/subject.h"
#include "jobs/run.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

namespace fs = std::filesystem;

/// The test accuracy in the result of a run. Without one it prints the reason on stderr.
std::optional<double> accuracy_of(const fs::path& run) {
  const fs::path file = run / "result.json";
  const auto none = [&](const std::string& why) {
    std::cerr << "note: " << run.string() << " has no test accuracy: " << why << "\n";
    return std::optional<double>();
  };
  const std::optional<runs::RunResult> result = runs::read_run_result(
      file, "without this file the run is scored without an accuracy; `qhost eval " + run.string() +
                "` computes one");
  if (!result) return none("there is no result.json yet");
  if (const auto accuracy = accuracy_in(*result)) return accuracy;
  return none(result->status ? "its status is " + *result->status : "its result.json holds none");
}

report::ScoreRequest request_of(const Arguments& arguments) {
  if (arguments.value("rule").empty()) {
    throw Error(ErrorKind::configuration, "qhost score: no rule was given",
                "--rule is one of " + report::score_rule_names());
  }
  report::ScoreRequest request;
  request.rule = report::parse_score_rule(arguments.value("rule"));
  if (!arguments.values("uniform").empty()) {
    request.uniform = report::parse_uniform(arguments.value("uniform"));
  }
  if (arguments.flag("dense")) request.why_dense = "--dense";
  return request;
}

std::vector<report::Column> line_columns() {
  using report::Align;
  return {
      {"", "score", Align::right}, {"", "storage", Align::right}, {"", "operations", Align::right}};
}

std::vector<report::Cell> line_of(const report::Score& score) {
  return {significant(score.score, 5), significant(score.storage, 5),
          significant(score.operations, 5)};
}

int execute(Context& context, const Arguments& arguments) {
  report::ScoreRequest request = request_of(arguments);
  const fs::path subject = arguments.positional().at(0);
  const auto points = points_of(arguments, context.registry);
  const bool is_run = fs::is_directory(subject);
  if (is_run) request.accuracy = accuracy_of(subject);
  PointDocuments documents(arguments.flag("json"), arguments.flag("layers"), points.size(),
                           line_columns());
  for (const config::SweepPoint& point : points) {
    const ScorableNetwork network = is_run
                                        ? scorable_run(subject, point.experiment, context.registry)
                                        : scorable_network(point.experiment, context.registry);
    for (const std::string& warning : network.warnings) {
      std::cerr << warning << "\n";
    }
    const report::Score score = cli::score(network, request);
    documents.add(point.label, line_of(score), report::document_of(score));
  }
  documents.finish();
  return 0;
}

std::string details() {
  std::string text =
      "RUN is a run directory, as runs/NAME/latest: its accuracy is held against the rule's\n"
      "threshold, and zeros among its weights count as the rule has it. FILE is an experiment.\n"
      "No data is needed. The rules:\n";
  for (const report::ScoreRuleInfo& rule : report::score_rules()) {
    text += "\n  " + rule.name + "\n      " + rule.summary;
  }
  return text;
}

}  // namespace

Command score_command() {
  return {.name = "score",
          .summary = "what a network scores under MicroNet's or the course's rules",
          .arguments = "RUN|FILE [KEY=VALUE]... --rule RULE",
          .details = details(),
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("rule", "the scoring rule, one of the above")
                    .value("uniform",
                           "QW,QA: as if every weight had QW and every input QA bits, 1 to 32")
                    .flag("layers", "of a sweep: the layers of every point")
                    .flag("dense", "count zeros among a run's weights like other values")
                    .flag("json", "as JSON; an array for a sweep")
                    .positional("run directory or experiment file", 1, 1000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
