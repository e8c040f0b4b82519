#include "cli/sweep_table.h"

#include <cstdio>
#include <optional>

#include "cli/terminal.h"
#include "common/utf8.h"
#include "report/finite_result.h"
#include "report/statistics.h"
#include "report/table.h"

namespace qhost::cli {
namespace {

std::optional<double> number_in(const nlohmann::json& result, const char* key) {
  const auto found = result.find(key);
  if (found == result.end() || !found->is_number()) return {};
  return found->get<double>();
}

std::string text_in(const nlohmann::json& result, const char* key) {
  const auto found = result.find(key);
  return found != result.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string bits_cell(const nlohmann::json& result, const char* key) {
  const auto number = number_in(result, key);
  if (!number) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *number);
  return text;
}

std::string count_cell(const nlohmann::json& result, const char* key) {
  const auto found = result.find(key);
  return found != result.end() && found->is_number_integer()
             ? report::with_separators(found->get<std::int64_t>())
             : "-";
}

std::string percent_cell(const nlohmann::json& result, const char* key) {
  const auto number = number_in(result, key);
  return number ? percent(*number) : "-";
}

void SweepTable::add(const config::SweepPoint& point, const nlohmann::json& result) {
  rows_.push_back({point.label.empty() ? point.experiment.name : point.label, result});
  const auto accuracy = number_in(result, "test_accuracy");
  if (!point.has_seed || !accuracy || text_in(result, "status") != "finished") return;
  if (report::has_no_finite_loss(result)) return;  // of an older build
  if (accuracies_.count(point.group) == 0) groups_.push_back(point.group);
  accuracies_[point.group].push_back(*accuracy);
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
    const std::string status = text_in(result, "status"), error = text_in(result, "error");
    table.add_row({label, or_dash(status), percent_cell(result, "test_accuracy"),
                   bits_cell(result, "bits_per_weight"), bits_cell(result, "bits_per_input"),
                   count_cell(result, "weight_bytes"), or_dash(text_in(result, "run_dir"))});
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
