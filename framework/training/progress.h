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
  double images_per_second = 0;  ///< since the start or the resumption of the run
  double seconds_left = 0;
};

struct EpochReport {
  std::int64_t epoch = 0, epochs = 0;
  double train_loss = 0, train_accuracy = 0;
  std::optional<MetricsResult> evaluation;
  std::string evaluated_on;      ///< "validation" or "test"
  std::string evaluation_error;  ///< why there is no evaluation, if it failed
  bool is_best = false;
  double seconds = 0;  ///< of the epoch, evaluation included
};

class Progress {
 public:
  virtual ~Progress();
  virtual void step(const StepReport& report) = 0;
  virtual void epoch(const EpochReport& report) = 0;
  /// One or more complete lines for the user: a warning, the place of the run.
  virtual void note(const std::string& text) = 0;
};

}  // namespace qhost::training
