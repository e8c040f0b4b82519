#include "cli/progress_display.h"

#include <iostream>

#include "cli/terminal.h"
#include "common/lines.h"
#include "common/number_text.h"

namespace qhost::cli {
namespace {

// How often the line of a terminal is rewritten, and how often a log gets a line.
constexpr auto live_interval = std::chrono::milliseconds(100);
constexpr auto log_interval = std::chrono::seconds(30);

std::string loss_and_accuracy(double loss, double accuracy) {
  return "loss " + fixed(loss, 4) + " accuracy " + fixed(100 * accuracy, 2) + " %";
}

std::string epoch_text(std::int64_t epoch, std::int64_t epochs) {
  return "epoch " + std::to_string(epoch + 1) + "/" + std::to_string(epochs);
}

std::string describe(const training::StepReport& r) {
  return epoch_text(r.epoch, r.epochs) + "  step " + std::to_string(r.step) + "/" +
         std::to_string(r.steps) + "  loss " + fixed(r.loss, 4) + "  accuracy " +
         fixed(100 * r.accuracy, 2) + " %  " + fixed(r.images_per_second, 0) + " images/s  ETA " +
         duration(r.seconds_left);
}

std::string describe(const training::ActivityReport& r) {
  std::string text = r.epoch ? epoch_text(*r.epoch, r.epochs) + "  " : "";
  text += r.activity + " " + std::to_string(r.done) + "/" + std::to_string(r.of);
  return r.seconds_left ? text + "  ETA " + duration(*r.seconds_left) : text;
}

/// "0.4 s", "4:05"
std::string clock_text(double seconds) {
  return seconds < 59.95 ? fixed(seconds, 1) + " s" : duration(seconds);
}

/// "train 41.2 s, validation 0.4 s"
std::string times_text(const training::EpochReport& r) {
  std::string text;
  if (r.train_seconds) text = "train " + clock_text(*r.train_seconds);
  if (r.evaluation_seconds) {
    text += (text.empty() ? "" : ", ") + r.evaluated_on + " " + clock_text(*r.evaluation_seconds);
  }
  return text;
}

std::string describe(const training::EpochReport& r) {
  std::string text = epoch_text(r.epoch, r.epochs) + "  train " +
                     loss_and_accuracy(r.train_loss, r.train_accuracy);
  if (r.evaluation) {
    text += "  " + r.evaluated_on + " " + loss_and_accuracy(r.evaluation->loss, r.evaluation->top1);
    if (r.is_best) text += " (best)";
  }
  if (!r.evaluation_error.empty()) text += "  " + r.evaluated_on + " evaluation failed";
  return text + "  " + times_text(r);
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::int64_t every_steps)
    : live_(stderr_is_live() && every_steps == 0), every_steps_(every_steps) {}

std::string ProgressDisplay::prefix() const {
  if (place_.label.empty()) return "";
  return "[" + std::to_string(place_.number) + "/" + std::to_string(place_.points) + " " +
         place_.label + "] ";
}

std::string ProgressDisplay::sweep_text(double seconds_left) const {
  if (place_.number == place_.points) return "";
  const std::chrono::duration<double> here = std::chrono::steady_clock::now() - start_;
  const double all = place_.seconds + here.count() + seconds_left;
  const auto done = static_cast<double>(place_.number);
  return ", sweep " +
         duration(seconds_left + all / done * (static_cast<double>(place_.points) - done));
}

ProgressDisplay::~ProgressDisplay() {
  clear_line();
}

void ProgressDisplay::clear_line() {
  if (!line_shown_) return;
  std::cerr << "\r\033[K";
  line_shown_ = false;
}

bool ProgressDisplay::is_due() {
  const auto now = std::chrono::steady_clock::now();
  if (!first_ && now - last_ < (live_ ? std::chrono::milliseconds(live_interval)
                                      : std::chrono::milliseconds(log_interval))) {
    return false;
  }
  const bool due = live_ || !first_;  // a log begins with its first epoch or after the interval
  first_ = false;
  last_ = now;
  return due;
}

void ProgressDisplay::show(const std::string& text) {
  std::string line = prefix() + text;
  if (!live_) {
    std::cerr << line + "\n";
    return;
  }
  const auto columns = static_cast<std::size_t>(stderr_columns());
  if (line.size() >= columns) line.resize(columns - 1);
  std::cerr << "\r\033[K" + line << std::flush;
  line_shown_ = true;
}

void ProgressDisplay::step(const training::StepReport& report) {
  trains_ = true;
  const bool counted = every_steps_ > 0;
  if (counted ? report.step % every_steps_ == 0 : is_due()) {
    show(describe(report) + sweep_text(report.seconds_left));
  }
}

void ProgressDisplay::activity(const training::ActivityReport& report) {
  if (every_steps_ > 0 || !is_due()) return;
  show(describe(report) + (report.seconds_left ? sweep_text(*report.seconds_left) : ""));
}

void ProgressDisplay::epoch(const training::EpochReport& r) {
  clear_line();
  std::cerr << prefix() + describe(r) + "\n";
}

void ProgressDisplay::note(const std::string& text) {
  // A located warning begins with its place.
  const bool of_the_start = !trains_ && (text.starts_with("note: ") ||
                                         first_line(text).find("warning: ") != std::string::npos);
  if (of_the_start && place_.notes && !place_.notes->is_new(text, place_.number)) return;
  clear_line();
  std::cerr << prefix() + text + "\n";
}

}  // namespace qhost::cli
