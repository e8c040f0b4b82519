/// qhost run: trains what an experiment file describes.
#include "jobs/run.h"
#include "cli/choose_points.h"
#include "jobs/requirements.h"

#include <iostream>

#include "cli/command.h"
#include "cli/dry_run.h"
#include "cli/sweep.h"
#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

void require_sensible_continuation(const jobs::RunRequest& request, bool is_sweep,
                                   const std::string& file) {
  if (request.continue_run.empty()) {
    if (request.checkpoint.empty()) return;
    throw Error(
        ErrorKind::configuration,
        "--checkpoint " + request.checkpoint +
            " says from where --continue RUN goes on, and there is none",
        "`qhost eval RUN --checkpoint " + request.checkpoint + "` evaluates that checkpoint");
  }
  const std::string given = "--continue " + request.continue_run;
  if (is_sweep) {
    throw Error(ErrorKind::configuration, given + " names one run, but " + file + " is a sweep",
                "continue its points one by one, with the file of each run: RUN/resolved.toml");
  }
  if (!request.resume.empty() && request.resume != "auto") {
    throw Error(ErrorKind::configuration,
                given + " begins a new run, --resume " + request.resume + " goes on with one",
                "leave out one of them; --resume auto goes on with the run that --continue has "
                "begun before");
  }
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  const std::string file = arguments.positional().at(0);
  const std::vector<std::string> overrides(arguments.positional().begin() + 1,
                                           arguments.positional().end());
  jobs::ComponentCatalog catalog(context.registry);
  config::LoadResult loaded = config::load_experiment(file, overrides, catalog);
  if (!loaded.ok) throw config::to_error(loaded.diagnostics, loaded.error_kind);
  if (!loaded.diagnostics.empty()) std::cerr << config::render(loaded.diagnostics);

  if (!loaded.sweep && !arguments.value("points").empty()) {
    throw Error(ErrorKind::configuration,
                "--points " + arguments.value("points") + ": " + file + " has no [sweep]",
                "leave --points out");
  }
  loaded.points = choose_points(loaded.points, arguments.value("points"));

  jobs::RunRequest request;
  request.runs_dir = arguments.value("runs-dir");
  request.resume = arguments.value("resume");
  request.run_dir = arguments.value("run-dir");
  request.allow_other_plugins = arguments.flag("allow-other-plugins");
  request.continue_run = arguments.value("continue");
  request.checkpoint = arguments.value("checkpoint");
  request.skip_failed = arguments.flag("skip-failed");
  request.command_line = context.command_line;
  require_sensible_continuation(request, loaded.sweep, file);
  if (loaded.sweep && !request.run_dir.empty()) {
    throw Error(ErrorKind::configuration,
                "--run-dir names one directory, but " + file + " is a sweep of " +
                    std::to_string(loaded.points.size()) + " runs",
                "--runs-dir chooses the folder that holds them");
  }
  if (loaded.sweep && !request.resume.empty() && request.resume != "auto") {
    throw Error(ErrorKind::configuration,
                "--resume " + request.resume + " names one run, but " + file + " is a sweep",
                "--resume auto finds the run of each point");
  }

  if (request.skip_failed && request.resume != "auto") {
    throw Error(ErrorKind::configuration, "--skip-failed is about runs that --resume auto finds",
                "give --resume auto, too; without it every run is a new one");
  }

  if (arguments.flag("dry-run")) {
    dry_run(file, loaded.points, request, context.registry);
    return 0;
  }
  // All points of a sweep are checked before the first one trains.
  for (const config::SweepPoint& point : loaded.points) {
    const Graph graph = jobs::build_graph(point.experiment, context.registry);
    const Plan plan = jobs::build_plan(point.experiment, context.registry, graph);
    jobs::require_possible(point.experiment, graph, plan);
  }

  return run_points(loaded, request, context.registry, arguments.flag("json"));
}

}  // namespace

Command run_command() {
  return {.name = "run",
          .summary = "train what an experiment file describes",
          .arguments = "EXPERIMENT [KEY=VALUE]...",
          .details =
              "KEY=VALUE overrides a key of the file, as in train.epochs=3 or "
              "model.name=wideresnet.\nA file with [sweep] runs its points in order and "
              "ends with a table of all; a point\nthat fails does not stop the others, and its "
              "exit code is the command's.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("resume",
                           "auto: continue the newest run of this configuration, data, weights "
                           "and plugins, or start one; DIR: continue that run")
                    .value("continue",
                           "RUN: a new run that goes on from that run's newest checkpoint, with "
                           "more epochs or another schedule, say")
                    .value("checkpoint", "with --continue: best or a step, in place of the newest")
                    .value("points",
                           "of a sweep: these points alone, by number from 0 or label, as in "
                           "--points 0,2")
                    .flag("skip-failed",
                          "with --resume auto: a run that failed or diverged is not tried again")
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
