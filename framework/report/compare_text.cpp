#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/utf8.h"
#include "report/compare_parts.h"
#include "report/table.h"

namespace qhost::report {
namespace {

/// A list of layer names would make the table wider than any screen; --json has all of it.
constexpr std::size_t widest_value = 40;

std::string formatted(const char* format, double number) {
  char text[64];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

std::string figure_text(FigureKind kind, std::optional<double> number) {
  if (!number) return "-";
  if (kind == FigureKind::fraction) return formatted("%.2f %%", *number * 100);
  if (kind == FigureKind::count) return with_separators(std::llround(*number));
  if (kind == FigureKind::score) return formatted("%.4g", *number);
  return formatted("%.3g", *number);
}

std::string run_cell(const ComparedRun& run, const Metric& metric) {
  const RunScore* score = score_of(run, metric);
  const bool starred = score != nullptr && !score->qualifies.value_or(true);
  return figure_text(metric.kind, number_of(run, metric)) + (starred ? "*" : "");
}

/// For the number of runs, mean and deviation.
bool has_columns_of_its_own(const Metric& metric) {
  return metric.measured && metric.kind != FigureKind::score;
}

/// One column is enough for what seldom varies.
std::string common_cell(const Metric& metric, const MeanAndDeviation& about) {
  if (about.common() || !metric.measured) return figure_text(metric.kind, about.common());
  return figure_text(metric.kind, about.mean) + " +- " + figure_text(metric.kind, about.deviation);
}

std::string cut(const std::string& value) {
  if (display_width(value) <= widest_value) return value;
  std::string out = value;
  while (display_width(out) > widest_value - 3) {
    // Whole characters: a UTF-8 sequence is not cut in two.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty()) out.pop_back();
  }
  return out + "...";
}

std::string runs_table(const Comparison& comparison) {
  std::vector<Column> columns = {
      {"run"}, {"configuration", Align::right}, {"seed", Align::right}, {"status"}};
  const bool labeled =
      std::any_of(comparison.runs.begin(), comparison.runs.end(),
                  [](const ComparedRun& run) { return !run.result.label.value_or("").empty(); });
  if (labeled) columns.insert(columns.begin() + 1, Column{"label"});
  for (const Metric& metric : compared_metrics()) columns.push_back({metric.title, Align::right});
  Table table(columns);
  bool starred = false;
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    const ComparedRun& run = comparison.runs[i];
    const auto seed = run.keys.find("train.seed");
    std::vector<std::string> cells = {run.label, std::to_string(comparison.configuration_of[i] + 1),
                                      seed == run.keys.end() ? "-" : seed->second, run.status};
    if (labeled) {
      const std::string label = run.result.label.value_or("");
      cells.insert(cells.begin() + 1, label.empty() ? "-" : label);
    }
    for (const Metric& metric : compared_metrics()) {
      cells.push_back(run_cell(run, metric));
      starred = starred || cells.back().ends_with('*');
    }
    table.add_row(cells);
  }
  return table.to_string() + (starred ? "*: does not qualify, a note says why\n" : "");
}

std::string configurations_table(const Comparison& comparison) {
  std::vector<Column> columns = {{"configuration", Align::right}, {"seeds"}};
  for (const Metric& metric : compared_metrics()) {
    if (!has_columns_of_its_own(metric)) {
      columns.push_back({metric.title, Align::right});
      continue;
    }
    columns.push_back({"runs", Align::right});
    columns.push_back({"mean " + metric.title, Align::right});
    columns.push_back({"deviation", Align::right});
  }
  Table table(columns);
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const Configuration& configuration = comparison.configurations[c];
    std::string seeds;
    for (const std::string& seed : configuration.seeds) seeds += (seeds.empty() ? "" : ", ") + seed;
    std::vector<std::string> cells = {std::to_string(c + 1), cut(seeds)};
    for (const Metric& metric : compared_metrics()) {
      const MeanAndDeviation& about = configuration.metrics.at(metric.key);
      if (!has_columns_of_its_own(metric)) {
        cells.push_back(common_cell(metric, about));
        continue;
      }
      cells.push_back(std::to_string(about.count));
      cells.push_back(figure_text(metric.kind, about.mean));
      cells.push_back(figure_text(metric.kind, about.deviation));
    }
    table.add_row(cells);
  }
  return table.to_string() + "deviation: of the sample, with the divisor n - 1\n";
}

std::string differences_table(const Comparison& comparison) {
  std::vector<Column> columns = {{"key"}};
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    columns.push_back({"configuration " + std::to_string(c + 1)});
  }
  Table table(columns);
  for (const Difference& difference : comparison.differences) {
    std::vector<std::string> cells = {difference.key};
    for (const auto& value : difference.values) cells.push_back(value ? cut(*value) : "-");
    table.add_row(cells);
  }
  return table.to_string();
}

}  // namespace

std::string to_text(const Comparison& comparison) {
  std::string text = runs_table(comparison);
  if (comparison.configurations.size() < comparison.runs.size()) {
    text += "\n" + configurations_table(comparison);
  }
  if (!comparison.differences.empty()) text += "\n" + differences_table(comparison);
  if (!comparison.notes.empty()) text += "\n";
  // A remark comes from a file: it must not steer the terminal.
  for (const std::string& note : comparison.notes) {
    text += "note: " + escape_controls(note) + "\n";
  }
  return text;
}

}  // namespace qhost::report
