#include "cli/sweep_table.h"

#include <cmath>
#include <map>
#include <utility>

#include "cli/terminal.h"
#include "common/lines.h"
#include "common/number_text.h"
#include "report/statistics.h"

namespace qhost::cli {
namespace {

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

/// Whether its accuracy belongs in a mean. An older build called runs finished whose loss was not
/// finite.
bool counts(const PointResult& point) {
  return point.has_seed && point.result.test_accuracy && point.result.status == "finished" &&
         !point.result.has_no_finite_loss();
}

/// A row for each group of several points, in the order of their first.
void add_means(const std::vector<PointResult>& points, report::Table& table) {
  std::vector<std::string> groups;
  std::map<std::string, std::vector<double>> accuracies;
  for (const PointResult& point : points) {
    if (!counts(point)) continue;
    if (accuracies.count(point.group) == 0) groups.push_back(point.group);
    accuracies[point.group].push_back(*point.result.test_accuracy);
  }
  for (const std::string& group : groups) {
    const std::vector<double>& values = accuracies.at(group);
    if (values.size() < 2) continue;
    const report::MeanAndDeviation about = report::mean_and_deviation(values);
    table.add_row({(group.empty() ? "" : group + ": ") + "mean of " + std::to_string(values.size()),
                   "",
                   fixed(100 * *about.mean, 2) + " +- " + fixed(100 * *about.deviation, 2) + " %",
                   "", "", "", ""});
  }
}

report::Table table_of(const std::vector<PointResult>& points) {
  report::Table table("", {{"", "run"},
                           {"", "status"},
                           {"", "test accuracy", report::Align::right},
                           {"", "bits/weight", report::Align::right},
                           {"", "bits/input", report::Align::right},
                           {"", "weight bytes", report::Align::right},
                           {"", "run directory"}});
  for (const PointResult& point : points) {
    table.add_row({point.label, or_dash(point.result.status.value_or("")),
                   percent_cell(point.result.test_accuracy),
                   bits_cell(point.result.bits_per_weight), bits_cell(point.result.bits_per_input),
                   count_cell(point.result.weight_bytes),
                   or_dash(point.result.run_dir.value_or(""))});
  }
  add_means(points, table);
  return table;
}

}  // namespace

std::string bits_cell(std::optional<double> bits) {
  return bits && std::isfinite(*bits) ? fixed(*bits, 2) : "-";
}

std::string count_cell(std::optional<std::int64_t> count) {
  return count ? with_separators(*count) : "-";
}

std::string percent_cell(std::optional<double> fraction) {
  return fraction && std::isfinite(*fraction) ? percent(*fraction) : "-";
}

PointResult result_of(const config::SweepPoint& point, runs::RunResult result) {
  return {.label = point.label.empty() ? point.experiment.name : point.label,
          .has_seed = point.has_seed,
          .group = point.group,
          .result = std::move(result)};
}

nlohmann::json to_json(const PointResult& point) {
  nlohmann::json json = to_json(point.result);
  if (point.has_seed) json["seed_group"] = point.group;
  return json;
}

report::Document document_of(const std::vector<PointResult>& points, const std::string& status) {
  nlohmann::json results = nlohmann::json::array();
  for (const PointResult& point : points) results.push_back(to_json(point));
  report::Document document;
  document.begin_section()
      .add(report::Facts{{{"status", status}, {"points", std::move(results)}}})
      .add(table_of(points));
  document.begin_section();
  for (const PointResult& point : points) {
    const std::string error = first_line(point.result.error.value_or(""));
    if (error.empty()) continue;
    const char* failed = point.result.status == "failed" ? " failed: " : ": ";
    document.add(report::Paragraph{point.label + failed + error});
  }
  return document;
}

}  // namespace qhost::cli
