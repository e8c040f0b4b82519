#include "cli/sweep_table.h"

#include <cmath>
#include <cstdio>

#include "cli/terminal.h"
#include "common/utf8.h"
#include "report/statistics.h"
#include "report/table.h"

namespace qhost::cli {
namespace {

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string bits_cell(std::optional<double> bits) {
  if (!bits || !std::isfinite(*bits)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *bits);
  return text;
}

std::string count_cell(std::optional<std::int64_t> count) {
  return count ? report::with_separators(*count) : "-";
}

std::string percent_cell(std::optional<double> fraction) {
  return fraction && std::isfinite(*fraction) ? percent(*fraction) : "-";
}

void SweepTable::add(const config::SweepPoint& point, const runs::RunResult& result) {
  rows_.push_back({point.label.empty() ? point.experiment.name : point.label, result});
  const bool counts = result.status == "finished" && result.test_accuracy &&
                      !result.has_no_finite_loss();  // of an older build
  if (!point.has_seed || !counts) return;
  if (accuracies_.count(point.group) == 0) groups_.push_back(point.group);
  accuracies_[point.group].push_back(*result.test_accuracy);
}

std::string SweepTable::to_string() const {
  report::Table table({{"run", report::Align::left},
                       {"status", report::Align::left},
                       {"test accuracy", report::Align::right},
                       {"bits/weight", report::Align::right},
                       {"bits/input", report::Align::right},
                       {"weight bytes", report::Align::right},
                       {"run directory", report::Align::left}});
  std::string reasons;
  for (const auto& [label, result] : rows_) {
    const std::string status = result.status.value_or(""), error = result.error.value_or("");
    table.add_row({label, or_dash(status), percent_cell(result.test_accuracy),
                   bits_cell(result.bits_per_weight), bits_cell(result.bits_per_input),
                   count_cell(result.weight_bytes), or_dash(result.run_dir.value_or(""))});
    if (!error.empty()) {
      reasons += label + (status == "failed" ? " failed: " : ": ") +
                 escape_controls(first_line(error)) + "\n";
    }
  }
  for (const std::string& group : groups_) {
    const std::vector<double>& values = accuracies_.at(group);
    if (values.size() < 2) continue;
    const report::MeanAndDeviation figures = report::mean_and_deviation(values);
    char text[48];
    std::snprintf(text, sizeof text, "%.2f +- %.2f %%", 100 * *figures.mean,
                  100 * *figures.deviation);
    table.add_row({(group.empty() ? "" : group + ": ") + "mean of " + std::to_string(values.size()),
                   "", text, "", "", "", ""});
  }
  return table.to_string() + (reasons.empty() ? "" : "\n" + reasons);
}

}  // namespace qhost::cli
