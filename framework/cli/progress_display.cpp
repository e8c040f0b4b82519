#include "cli/progress_display.h"

#include <iostream>

#include "cli/terminal.h"
#include "common/number_text.h"

namespace qhost::cli {
namespace {

// How often the line of a terminal is rewritten, and how often a log gets a line.
constexpr auto live_interval = std::chrono::milliseconds(100);
constexpr auto log_interval = std::chrono::seconds(30);

std::string loss_and_accuracy(double loss, double accuracy) {
  return "loss " + fixed(loss, 4) + " accuracy " + fixed(100 * accuracy, 2) + " %";
}

std::string describe(const training::StepReport& r) {
  return "epoch " + std::to_string(r.epoch + 1) + "/" + std::to_string(r.epochs) + "  step " +
         std::to_string(r.step) + "/" + std::to_string(r.steps) + "  loss " + fixed(r.loss, 4) +
         "  accuracy " + fixed(100 * r.accuracy, 2) + " %  " + fixed(r.images_per_second, 0) +
         " images/s  ETA " + duration(r.seconds_left);
}

std::string describe(const training::EpochReport& r) {
  std::string text = "epoch " + std::to_string(r.epoch + 1) + "/" + std::to_string(r.epochs) +
                     "  train " + loss_and_accuracy(r.train_loss, r.train_accuracy);
  if (r.evaluation) {
    text += "  " + r.evaluated_on + " " + loss_and_accuracy(r.evaluation->loss, r.evaluation->top1);
    if (r.is_best) text += " (best)";
  }
  if (!r.evaluation_error.empty()) text += "  " + r.evaluated_on + " evaluation failed";
  return text + "  " + duration(r.seconds);
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::int64_t every_steps)
    : live_(stderr_is_live() && every_steps == 0), every_steps_(every_steps) {}

std::string ProgressDisplay::prefix() const {
  if (place_.label.empty()) return "";
  return "[" + std::to_string(place_.number) + "/" + std::to_string(place_.points) + " " +
         place_.label + "] ";
}

std::string ProgressDisplay::describe_step(const training::StepReport& report) const {
  const std::string text = describe(report);
  if (place_.number == place_.points) return text;
  const std::chrono::duration<double> here = std::chrono::steady_clock::now() - start_;
  const double all = place_.seconds + here.count() + report.seconds_left;
  const auto done = static_cast<double>(place_.number);
  const double left =
      report.seconds_left + all / done * (static_cast<double>(place_.points) - done);
  return text + ", sweep " + duration(left);
}

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
    if (report.step % every_steps_ == 0) std::cerr << prefix() + describe_step(report) + "\n";
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
  std::string line = prefix() + describe_step(report);
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
  std::cerr << prefix() + describe(r) + "\n";
}

void ProgressDisplay::note(const std::string& text) {
  clear_line();
  std::cerr << prefix() + text + "\n";
}

}  // namespace qhost::cli
