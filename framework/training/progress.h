/// training/progress.h: the reports of a run while it works. The command line shows them; tests
/// record them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "training/metrics.h"

namespace qhost::training {

struct StepReport {
  std::int64_t epoch = 0, epochs = 0;  ///< epoch from 0
  std::int64_t step = 0, steps = 0;    ///< steps done and steps of the run
  std::int64_t steps_per_epoch = 1;
  double loss = 0, accuracy = 0;  ///< means over the epoch so far
  double learning_rate = 0;
  double images_per_second = 0;  ///< of the training steps since the run was started or resumed
  double seconds_left = 0;       ///< to the end of the run, its evaluations included
};

/// Work on many batches other than training.
struct ActivityReport {
  std::string activity;  ///< "test", "validation", "calibration", ...
  /// From 0, of `epochs`; empty outside of an epoch.
  std::optional<std::int64_t> epoch;
  std::int64_t epochs = 0;
  std::int64_t done = 0, of = 0;       ///< images, batches
  std::optional<double> seconds_left;  ///< to the end of the run; empty if it is not known
};

struct EpochReport {
  std::int64_t epoch = 0, epochs = 0;
  double train_loss = 0, train_accuracy = 0;
  std::optional<MetricsResult> evaluation;
  std::string evaluated_on;      ///< "validation" or "test"
  std::string evaluation_error;  ///< why there is no evaluation, if it failed
  bool is_best = false;
  /// Clock time of the training steps and of the evaluation, the `seconds` of metrics.jsonl. Empty:
  /// not evaluated; trained before the run was resumed.
  std::optional<double> train_seconds, evaluation_seconds;
};

class Progress {
 public:
  virtual ~Progress();
  virtual void step(const StepReport& report) = 0;
  virtual void epoch(const EpochReport& report) = 0;
  /// Called after every batch.
  virtual void activity(const ActivityReport& report);
  /// One or more complete lines for the user: a warning, the place of the run.
  virtual void note(const std::string& text) = 0;
};

}  // namespace qhost::training
