/// qhost run: trains what an experiment file describes.
#include "training/run.h"
#include "training/requirements.h"

#include <cmath>
#include <iostream>
#include <map>

#include "cli/command.h"
#include "cli/dry_run.h"
#include "cli/progress_display.h"
#include "cli/terminal.h"
#include "config/load.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"
#include "report/finite_result.h"
#include "report/statistics.h"
#include "report/table.h"
#include "training/assemble.h"
#include "training/catalog.h"
#include "training/evaluate.h"

namespace qhost::cli {
namespace {

void add_row(report::Table& table, const std::string& label, const nlohmann::json& result) {
  const auto number = [&](const char* key) {
    return result.contains(key) && result[key].is_number() ? result[key].get<double>()
                                                           : std::nan("");
  };
  char bits[32];
  std::snprintf(bits, sizeof bits, "%.2f", number("bits_per_weight"));
  table.add_row({label, result.value("status", "?"), percent(number("test_accuracy")), bits,
                 report::with_separators(result.value("weight_bytes", std::int64_t{0})),
                 result.value("run_dir", "")});
}

/// The mean over the runs that differ by their seed alone, and the deviation of one run from it
/// (with n - 1).
void add_means(report::Table& table, const std::vector<config::SweepPoint>& points,
               const nlohmann::json& results) {
  std::vector<std::string> groups;
  std::map<std::string, std::vector<double>> accuracies;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const nlohmann::json& one = results[i];
    if (!one.contains("seed_group") || !one.contains("test_accuracy")) continue;
    if (report::has_no_finite_loss(one)) continue;  // a finished run of an older build
    const std::string& group = points[i].group;
    if (accuracies.count(group) == 0) groups.push_back(group);
    accuracies[group].push_back(one["test_accuracy"].get<double>());
  }
  for (const std::string& group : groups) {
    const std::vector<double>& values = accuracies[group];
    if (values.size() < 2) continue;
    const report::MeanAndDeviation figures = report::mean_and_deviation(values);
    char text[48];
    std::snprintf(text, sizeof text, "%.2f +- %.2f %%", 100 * *figures.mean,
                  100 * *figures.deviation);
    table.add_row({(group.empty() ? "" : group + ": ") + "mean of " + std::to_string(values.size()),
                   "", text, "", "", ""});
  }
}

void require_sensible_continuation(const training::RunRequest& request, bool is_sweep,
                                   const std::string& file) {
  if (request.continue_run.empty()) {
    if (request.checkpoint.empty()) return;
    throw Error(ErrorKind::configuration,
                "--checkpoint " + request.checkpoint +
                    " says from where --continue RUN goes on, and there is none\nhelp: `qhost eval "
                    "RUN --checkpoint " +
                    request.checkpoint + "` evaluates that checkpoint");
  }
  const std::string given = "--continue " + request.continue_run;
  if (is_sweep) {
    throw Error(ErrorKind::configuration,
                given + " names one run, but " + file +
                    " is a sweep\nhelp: continue its points one by one, with the file of each run: "
                    "RUN/resolved.toml");
  }
  if (!request.resume.empty() && request.resume != "auto") {
    throw Error(ErrorKind::configuration,
                given + " begins a new run, --resume " + request.resume +
                    " goes on with one\nhelp: leave out one of them; --resume auto goes on with "
                    "the run that --continue has begun before");
  }
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  const std::string file = arguments.positional().at(0);
  const std::vector<std::string> overrides(arguments.positional().begin() + 1,
                                           arguments.positional().end());
  training::ComponentCatalog catalog(context.registry);
  const config::LoadResult loaded = config::load_experiment(file, overrides, catalog);
  if (!loaded.ok) throw config::to_error(loaded.diagnostics, loaded.error_kind);
  if (!loaded.diagnostics.empty()) std::cerr << config::render(loaded.diagnostics);

  training::RunRequest request;
  request.runs_dir = arguments.value("runs-dir");
  request.resume = arguments.value("resume");
  request.run_dir = arguments.value("run-dir");
  request.allow_other_plugins = arguments.flag("allow-other-plugins");
  request.continue_run = arguments.value("continue");
  request.checkpoint = arguments.value("checkpoint");
  request.command_line = context.command_line;
  require_sensible_continuation(request, loaded.sweep, file);
  if (loaded.sweep && !request.run_dir.empty()) {
    throw Error(ErrorKind::configuration,
                "--run-dir names one directory, but " + file + " is a sweep of " +
                    std::to_string(loaded.points.size()) +
                    " runs\nhelp: --runs-dir chooses the folder that holds them");
  }
  if (loaded.sweep && !request.resume.empty() && request.resume != "auto") {
    throw Error(ErrorKind::configuration,
                "--resume " + request.resume + " names one run, but " + file +
                    " is a sweep\nhelp: --resume auto finds the run of each point");
  }

  if (arguments.flag("dry-run")) {
    dry_run(file, loaded.points, request, context.registry);
    return 0;
  }
  // A mistake in the last point of a sweep shows before the first one trains.
  for (const config::SweepPoint& point : loaded.points) {
    const Graph graph = training::build_graph(point.experiment, context.registry);
    const Plan plan = training::build_plan(point.experiment, context.registry, graph);
    training::require_possible(point.experiment, graph, plan);
  }

  const bool json = arguments.flag("json");
  report::Table table({{"run", report::Align::left},
                       {"status", report::Align::left},
                       {"test accuracy", report::Align::right},
                       {"bits/weight", report::Align::right},
                       {"weight bytes", report::Align::right},
                       {"run directory", report::Align::left}});
  nlohmann::json results = nlohmann::json::array();
  int exit_code = 0;
  for (const config::SweepPoint& point : loaded.points) {
    ProgressDisplay progress(point.experiment.train.integer("progress_every"));
    progress.set_label(point.label);
    training::RunResult result;
    try {
      result = training::run_experiment(point.experiment, request, context.registry, progress);
    } catch (const Error& error) {
      // One diverged point does not take the others with it.
      if (!loaded.sweep || error.kind() != ErrorKind::diverged) throw;
      progress.note(std::string("error: ") + error.what());
      result.json = {{"status", "diverged"}};
      result.exit_code = error.exit_code();
    }
    if (result.was_finished) {
      progress.note("nothing to do: this configuration is finished in " +
                    result.json.value("run_dir", ""));
    }
    if (loaded.sweep) result.json["label"] = point.label;
    if (point.has_seed) result.json["seed_group"] = point.group;
    add_row(table, point.label.empty() ? point.experiment.name : point.label, result.json);
    if (json) std::cout << result.json.dump() << "\n" << std::flush;
    results.push_back(result.json);
    if (result.exit_code != 0 && exit_code == 0) exit_code = result.exit_code;
    if (result.exit_code == static_cast<int>(ErrorKind::interrupted)) {
      progress.note("interrupted; the same command with --resume auto continues");
      break;
    }
  }
  if (json && loaded.sweep) {
    std::cout << nlohmann::json{{"status", exit_code == 0 ? "finished" : "incomplete"},
                                {"points", results}}
                     .dump()
              << "\n";
  }
  if (!json) {
    add_means(table, loaded.points, results);
    std::cout << table.to_string();
  }
  return exit_code;
}

}  // namespace

Command run_command() {
  return {.name = "run",
          .summary = "train what an experiment file describes",
          .arguments = "EXPERIMENT [KEY=VALUE]...",
          .details =
              "KEY=VALUE overrides a key of the file, as in train.epochs=3 or "
              "model.name=wideresnet.\nA file with [sweep] runs its points in order and "
              "ends with a table of all.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("resume",
                           "auto: continue the newest run of this configuration, data, weights "
                           "and plugins, or start one; DIR: continue that run")
                    .value("continue",
                           "RUN: a new run that goes on from that run's newest checkpoint, with "
                           "more epochs or another schedule, say")
                    .value("checkpoint", "with --continue: best or a step, in place of the newest")
                    .value("runs-dir", "the folder that holds all runs (default ./runs)")
                    .value("run-dir", "exactly this run directory, new or to be continued")
                    .flag("allow-other-plugins",
                          "go on with a run although plugin files have changed; the result says so")
                    .flag("dry-run", "check all that a run checks before its first step, then stop")
                    .flag("json", "print result.json as the last line of stdout")
                    .positional("experiment file", 1, 1000);
              },
          .execute = execute};
}

}  // namespace qhost::cli
