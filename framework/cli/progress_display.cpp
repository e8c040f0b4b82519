#include "cli/progress_display.h"

#include <cstdio>
#include <iostream>

#include "cli/terminal.h"

namespace qhost::cli {
namespace {

// A terminal's line moves smoothly; a log gets a line now and then.
constexpr auto live_interval = std::chrono::milliseconds(100);
constexpr auto log_interval = std::chrono::seconds(30);

std::string describe(const training::StepReport& r) {
  char text[200];
  std::snprintf(
      text, sizeof text,
      "epoch %lld/%lld  step %lld/%lld  loss %.4f  accuracy %.2f %%  %.0f images/s  ETA %s",
      static_cast<long long>(r.epoch + 1), static_cast<long long>(r.epochs),
      static_cast<long long>(r.step), static_cast<long long>(r.steps), r.loss, r.accuracy * 100,
      r.images_per_second, duration(r.seconds_left).c_str());
  return text;
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::int64_t every_steps)
    : live_(stderr_is_live() && every_steps == 0), every_steps_(every_steps) {}

ProgressDisplay::~ProgressDisplay() {
  clear_line();
}

void ProgressDisplay::clear_line() {
  if (!line_shown_) return;
  std::cerr << "\r\033[K";
  line_shown_ = false;
}

void ProgressDisplay::step(const training::StepReport& report) {
  const auto now = std::chrono::steady_clock::now();
  if (every_steps_ > 0) {
    if (report.step % every_steps_ == 0) std::cerr << prefix() + describe(report) + "\n";
    return;
  }
  if (!first_ && now - last_ < (live_ ? std::chrono::milliseconds(live_interval)
                                      : std::chrono::milliseconds(log_interval))) {
    return;
  }
  const bool show = live_ || !first_;
  first_ = false;
  last_ = now;
  if (!show) return;  // a log begins with its first epoch or after the interval
  std::string line = prefix() + describe(report);
  if (!live_) {
    std::cerr << line + "\n";
    return;
  }
  const auto columns = static_cast<std::size_t>(stderr_columns());
  if (line.size() >= columns) line.resize(columns - 1);
  std::cerr << "\r\033[K" + line << std::flush;
  line_shown_ = true;
}

void ProgressDisplay::epoch(const training::EpochReport& r) {
  clear_line();
  char text[240];
  int length = std::snprintf(text, sizeof text, "epoch %lld/%lld  train loss %.4f accuracy %.2f %%",
                             static_cast<long long>(r.epoch + 1), static_cast<long long>(r.epochs),
                             r.train_loss, r.train_accuracy * 100);
  if (r.evaluation) {
    length +=
        std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length),
                      "  %s loss %.4f accuracy %.2f %%%s", r.evaluated_on.c_str(),
                      r.evaluation->loss, r.evaluation->top1 * 100, r.is_best ? " (best)" : "");
  }
  if (!r.evaluation_error.empty()) {
    length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length),
                            "  %s evaluation failed", r.evaluated_on.c_str());
  }
  std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), "  %s",
                duration(r.seconds).c_str());
  std::cerr << prefix() + text + "\n";
}

void ProgressDisplay::note(const std::string& text) {
  clear_line();
  std::cerr << prefix() + text + "\n";
}

}  // namespace qhost::cli
