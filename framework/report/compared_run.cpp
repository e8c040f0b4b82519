#include "report/compared_run.h"

#include <algorithm>

#include "config/read_resolved.h"
#include "qhost/error.h"
#include "report/source_run.h"
#include "runs/run_directory.h"
#include "storage/atomic_file.h"

namespace qhost::report {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

constexpr const char* damaged_help =
    "continue the run with --resume, which writes it again, or leave the run out";

config::Experiment configuration_of(const runs::RunDirectory& run, config::Catalog& catalog) {
  std::error_code error;
  if (fs::exists(run.resolved(), error)) return config::read_resolved(run.resolved(), catalog);
  throw Error(ErrorKind::configuration,
              run.path().string() + " has no resolved.toml: its configuration is unknown",
              "copy the whole run directory, or leave the run out");
}

/// For a run that --continue began and whose result an uninterrupted run would not reproduce: the
/// epoch and the keys of its parent, "epoch 4, train.epochs = 4". "" for any other run.
std::string other_past(const fs::path& run) {
  std::error_code error;
  const fs::path file = run / "parent.json";
  if (!fs::exists(file, error)) return "";
  const auto parent = nlohmann::json::parse(storage::read_file(file), nullptr, false);
  if (!parent.is_object() || parent.value("exact", true)) return "";
  std::string text = "epoch " + std::to_string(parent.value("epoch", std::int64_t{0}));
  const auto changed = parent.value("changed", nlohmann::json::object());
  for (const auto& [key, values] : changed.items()) {
    text += ", " + key + " = " + values.value("parent", "?");
  }
  return text;
}

std::string status_of(const runs::RunInfo& info) {
  if (info.state == runs::RunState::running) return "running";
  return info.status.empty() ? "interrupted" : info.status;
}

void make_labels_unique(std::vector<ComparedRun>& runs) {
  std::map<std::string, int> times;
  for (const ComparedRun& run : runs) ++times[run.label];
  for (ComparedRun& run : runs) {
    if (times[run.label] > 1) run.label = run.directory;
  }
}

}  // namespace

Keys compared_keys(const config::Experiment& experiment) {
  Keys keys = experiment.result_keys();
  if (experiment.quantizers.empty()) keys["quantizer.0.name"] = "\"none\"";
  return keys;
}

std::vector<ComparedRun> load_runs(const std::vector<fs::path>& directories,
                                   config::Catalog& catalog) {
  std::vector<ComparedRun> runs;
  for (const fs::path& given : directories) {
    const runs::RunDirectory run = runs::RunDirectory::open(given);
    ComparedRun compared;
    compared.directory = run.path().string();
    compared.label = (run.path().parent_path().filename() / run.path().filename()).string();
    const auto same = std::find_if(runs.begin(), runs.end(), [&](const ComparedRun& other) {
      return other.directory == compared.directory;
    });
    if (same != runs.end()) {
      throw Error(ErrorKind::configuration,
                  given.string() + " is the run " + compared.directory + ", which is named twice",
                  "name each run once: it would count twice in the mean");
    }
    compared.status = status_of(runs::run_info(run.path()));
    compared.result = runs::read_run_result(run.result(), damaged_help).value_or(runs::RunResult());
    const config::Experiment experiment = configuration_of(run, catalog);
    compared.keys = compared_keys(experiment);
    if (const std::string past = other_past(run.path()); !past.empty()) {
      compared.keys["--continue"] = past;
    }
    FoundSource source = find_source(run.path(), experiment, catalog);
    compared.source = std::move(source.run);
    compared.why_no_source = std::move(source.why_not);
    runs.push_back(std::move(compared));
  }
  make_labels_unique(runs);
  return runs;
}

}  // namespace qhost::report
