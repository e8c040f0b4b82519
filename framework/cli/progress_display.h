/// cli/progress_display.h: a run's progress on stderr: one live line on a terminal, sparse plain
/// lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "training/progress.h"

namespace qhost::cli {

class ProgressDisplay : public training::Progress {
 public:
  /// `every_steps` > 0: a plain line each so many steps, on a terminal too.
  explicit ProgressDisplay(std::int64_t every_steps = 0);
  ~ProgressDisplay() override;
  /// Precedes every line: the point of a sweep.
  void set_label(const std::string& label) { label_ = label; }

  void step(const training::StepReport& report) override;
  void epoch(const training::EpochReport& report) override;
  void note(const std::string& text) override;

 private:
  void clear_line();
  std::string prefix() const { return label_.empty() ? "" : "[" + label_ + "] "; }

  bool live_;
  std::int64_t every_steps_;
  std::string label_;
  bool line_shown_ = false;
  std::chrono::steady_clock::time_point last_;
  bool first_ = true;
};

}  // namespace qhost::cli
