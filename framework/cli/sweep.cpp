#include "cli/sweep.h"

#include <chrono>
#include <iostream>
#include <utility>

#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/sweep_table.h"
#include "report/render.h"
#include "training/failure.h"
#include "training/interrupt.h"

namespace qhost::cli {
namespace {

constexpr int interrupted_code = static_cast<int>(ErrorKind::interrupted);

/// The outcome of a point that ended in the current exception.
jobs::RunOutcome result_of_failure(training::Progress& progress) {
  const std::exception_ptr exception = std::current_exception();
  const Error failure = training::failure_of(exception);
  jobs::RunOutcome outcome;
  outcome.exit_code = failure.exit_code();
  if (outcome.exit_code == interrupted_code) {
    outcome.result.status = "interrupted";
    return outcome;
  }
  progress.note(std::string("error: ") + failure.what());
  try {
    std::rethrow_exception(exception);
  } catch (const training::RunFailed& failed) {
    outcome.result = failed.result();
  } catch (...) {
    outcome.result.status = "failed";
    outcome.result.error = failure.what();
    outcome.result.exit_code = outcome.exit_code;
  }
  return outcome;
}

jobs::RunOutcome run_point(const config::SweepPoint& point, const SweepPlace& place, bool in_sweep,
                           jobs::RunRequest request, Registry& registry) {
  ProgressDisplay progress(point.experiment.train.integer("progress_every"));
  progress.set_point(place);
  if (in_sweep) request.known.label = point.label;
  jobs::RunOutcome outcome;
  try {
    outcome = jobs::run_experiment(point.experiment, request, registry, progress);
  } catch (...) {
    if (!in_sweep) throw;
    outcome = result_of_failure(progress);
  }
  runs::RunResult& result = outcome.result;
  if (in_sweep) result.label = point.label;
  const std::string directory = result.run_dir.value_or("");
  if (outcome.was_finished) {
    progress.note("nothing to do: this configuration is finished in " + directory);
  }
  if (outcome.was_skipped) {
    progress.note("left as it is: this configuration " +
                  std::string(result.status == "diverged" ? "diverged" : "failed") + " in " +
                  directory + "; without --skip-failed it is tried again");
  }
  if (outcome.exit_code == interrupted_code) {
    progress.note("interrupted; the same command with --resume auto continues");
  }
  return outcome;
}

}  // namespace

int run_points(const config::LoadResult& loaded, const jobs::RunRequest& request,
               Registry& registry, bool json) {
  const training::InterruptGuard interrupts;  // between two points, too
  std::vector<PointResult> results;
  SweepNotes notes;
  int exit_code = 0;
  const auto start = std::chrono::steady_clock::now();
  for (const config::SweepPoint& point : loaded.points) {
    const std::chrono::duration<double> before = std::chrono::steady_clock::now() - start;
    const SweepPlace place{.label = point.label,
                           .number = results.size() + 1,
                           .points = loaded.points.size(),
                           .seconds = before.count(),
                           .notes = &notes};
    const jobs::RunOutcome outcome = run_point(point, place, loaded.sweep, request, registry);
    results.push_back(result_of(point, outcome.result));
    if (json) std::cout << to_json(results.back()).dump() << "\n" << std::flush;
    if (exit_code == 0) exit_code = outcome.exit_code;
    if (outcome.exit_code == interrupted_code) {
      exit_code = interrupted_code;  // whatever failed before: the remaining points were not run
      break;
    }
  }
  for (const std::string& line : notes.repeated()) std::cerr << line << "\n";
  const report::Document document =
      document_of(results, exit_code == 0 ? "finished" : "incomplete");
  if (!json) {
    print(document, /*as_json=*/false);
  } else if (loaded.sweep) {
    std::cout << report::render_json(document).dump() << "\n";
  }
  return exit_code;
}

}  // namespace qhost::cli
