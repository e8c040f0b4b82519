/// cli/progress_display.h: a run's progress on stderr: one live line on a terminal, sparse plain
/// lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "cli/sweep_notes.h"
#include "training/progress.h"

namespace qhost::cli {

/// Where a run stands in a sweep.
struct SweepPlace {
  std::string label;  ///< "" for a run of its own
  std::size_t number = 1, points = 1;
  double seconds = 0;           ///< that the points before it took
  SweepNotes* notes = nullptr;  ///< what they said before their first step
};

class ProgressDisplay : public training::Progress {
 public:
  /// `every_steps` > 0: a plain line each so many steps, on a terminal too.
  explicit ProgressDisplay(std::int64_t every_steps = 0);
  ~ProgressDisplay() override;
  /// A point of a sweep: number and label precede every line, and the live line tells when all will
  /// be over, as far as the points before tell.
  void set_point(const SweepPlace& place) { place_ = place; }

  void step(const training::StepReport& report) override;
  void epoch(const training::EpochReport& report) override;
  void activity(const training::ActivityReport& report) override;
  void note(const std::string& text) override;

 private:
  void clear_line();
  std::string prefix() const;
  /// ", sweep 1:02:03", of a point that is not the last one.
  std::string sweep_text(double seconds_left) const;
  /// Whether the interval since the last such line is over.
  bool is_due();
  void show(const std::string& text);

  bool live_;
  std::int64_t every_steps_;
  SweepPlace place_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool line_shown_ = false;
  std::chrono::steady_clock::time_point last_;
  bool first_ = true;
  bool trains_ = false;  ///< the first step is done
};

}  // namespace qhost::cli
