// tests/training/loop.h: whole runs in this process, and what they reported.
#pragma once

#include <gmock/gmock.h>

#include <functional>

#include "cli/process.h"
#include "config/load.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "runs/checkpoint.h"
#include "training/ran.h"
#include "training/trainer.h"

namespace qhost::training {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// Records what it is told, and the files on disk at the end of each epoch.
class Recorder : public Progress {
 public:
  void step(const StepReport& report) override {
    events.push_back("step " + std::to_string(report.step));
    steps.push_back(report);
    if (at_step) at_step(report.step);
  }
  void epoch(const EpochReport& report) override {
    events.push_back("epoch " + std::to_string(report.epoch + 1) +
                     (report.evaluation ? " " + report.evaluated_on : "") +
                     (report.is_best ? " best" : ""));
    epochs.push_back(report);
    if (at_epoch) at_epoch(report.epoch + 1);
  }
  void activity(const ActivityReport& report) override { activities.push_back(report); }
  void note(const std::string& text) override {
    notes += text + "\n";
    if (at_note) at_note(text);
  }

  Words events;
  std::vector<StepReport> steps;
  std::vector<EpochReport> epochs;
  std::vector<ActivityReport> activities;
  std::string notes;
  std::function<void(std::int64_t)> at_step, at_epoch;
  std::function<void(const std::string&)> at_note;
};

class Loop : public ::testing::Test {
 protected:
  Loop() { folder_.write("e.toml", tests::small_experiment()); }

  config::Experiment experiment(const Words& overrides = {}) {
    jobs::ComponentCatalog catalog(registry_);
    return config::load_experiment_or_throw(folder_ / "e.toml", overrides, catalog)
        .at(0)
        .experiment;
  }
  tests::Ran run(const std::string& directory, const Words& overrides, Progress& progress) {
    jobs::RunRequest request;
    request.run_dir = (folder_ / directory).string();
    return tests::Ran(jobs::run_experiment(experiment(overrides), request, registry_, progress));
  }
  tests::Ran run(const std::string& directory, const Words& overrides = {}) {
    Recorder ignored;
    return run(directory, overrides, ignored);
  }
  /// "train test" for the lines of metrics.jsonl.
  std::string phases(const std::string& directory) {
    std::string text;
    for (const auto& line : tests::metrics_of(folder_ / directory)) {
      text += (text.empty() ? "" : " ") + line.at("phase").get<std::string>();
    }
    return text;
  }
  std::vector<std::int64_t> checkpoints(const std::string& directory) {
    return runs::checkpoint_steps(folder_ / directory / "checkpoints");
  }
  std::string weights(const std::string& directory, const std::string& checkpoint) {
    return tests::slurp(folder_ / directory / "checkpoints" / checkpoint / "state.safetensors");
  }

  tests::Workshop folder_;
  Registry registry_{
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false}};
};

}  // namespace qhost::training
