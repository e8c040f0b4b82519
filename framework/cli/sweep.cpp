#include "cli/sweep.h"

#include <iostream>

#include "cli/progress_display.h"
#include "cli/sweep_table.h"
#include "training/failure.h"
#include "training/interrupt.h"

namespace qhost::cli {
namespace {

constexpr int interrupted_code = static_cast<int>(ErrorKind::interrupted);

/// What the exception in flight makes of a point.
jobs::RunResult result_of_failure(training::Progress& progress) {
  const std::exception_ptr exception = std::current_exception();
  const training::Failure failure = training::failure_of(exception);
  jobs::RunResult result;
  result.exit_code = static_cast<int>(failure.kind);
  if (result.exit_code == interrupted_code) {
    result.json = {{"status", "interrupted"}};
    return result;
  }
  progress.note("error: " + failure.message);
  try {
    std::rethrow_exception(exception);
  } catch (const training::RunFailed& failed) {
    result.json = failed.result();
  } catch (...) {
    result.json = {
        {"status", "failed"}, {"error", failure.message}, {"exit_code", result.exit_code}};
  }
  return result;
}

jobs::RunResult run_point(const config::SweepPoint& point, bool in_sweep, jobs::RunRequest request,
                          Registry& registry) {
  ProgressDisplay progress(point.experiment.train.integer("progress_every"));
  progress.set_label(point.label);
  if (in_sweep) request.facts["label"] = point.label;
  jobs::RunResult result;
  try {
    result = jobs::run_experiment(point.experiment, request, registry, progress);
  } catch (...) {
    if (!in_sweep) throw;
    result = result_of_failure(progress);
  }
  if (in_sweep) result.json["label"] = point.label;
  if (result.was_finished) {
    progress.note("nothing to do: this configuration is finished in " +
                  result.json.value("run_dir", ""));
  }
  if (result.was_skipped) {
    progress.note(
        "left as it is: this configuration " +
        std::string(result.json.value("status", "") == "diverged" ? "diverged" : "failed") +
        " in " + result.json.value("run_dir", "") + "; without --skip-failed it is tried again");
  }
  if (result.exit_code == interrupted_code) {
    progress.note("interrupted; the same command with --resume auto continues");
  }
  return result;
}

}  // namespace

int run_points(const config::LoadResult& loaded, const jobs::RunRequest& request,
               Registry& registry, bool json) {
  const training::InterruptGuard interrupts;  // between two points, too
  SweepTable table;
  nlohmann::json results = nlohmann::json::array();
  int exit_code = 0;
  for (const config::SweepPoint& point : loaded.points) {
    jobs::RunResult result = run_point(point, loaded.sweep, request, registry);
    if (point.has_seed) result.json["seed_group"] = point.group;
    table.add(point, result.json);
    if (json) std::cout << result.json.dump() << "\n" << std::flush;
    results.push_back(result.json);
    if (exit_code == 0) exit_code = result.exit_code;
    if (result.exit_code == interrupted_code) {
      exit_code = interrupted_code;  // there is more to do
      break;
    }
  }
  if (!json) {
    std::cout << table.to_string();
  } else if (loaded.sweep) {
    const char* status = exit_code == 0 ? "finished" : "incomplete";
    std::cout << nlohmann::json{{"status", status}, {"points", results}}.dump() << "\n";
  }
  return exit_code;
}

}  // namespace qhost::cli
