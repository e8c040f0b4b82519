#include <algorithm>
#include <cmath>

#include "common/number_text.h"
#include "common/utf8.h"
#include "report/compare_parts.h"

namespace qhost::report {
namespace {

using nlohmann::json;

/// A list of layer names would make the table wider than any screen; JSON has all of it.
constexpr std::size_t widest_value = 40;

std::string number_text(FigureKind kind, std::optional<double> number) {
  if (!number) return "-";
  if (kind == FigureKind::fraction) return fixed(*number * 100, 2) + " %";
  if (kind == FigureKind::count) return with_separators(std::llround(*number));
  return significant(*number, kind == FigureKind::score ? 4 : 3);
}

std::string cut(const std::string& value) {
  if (display_width(value) <= widest_value) return value;
  std::string out = value;
  while (display_width(out) > widest_value - 3) {
    // Removes a whole character, not a part of its UTF-8 sequence.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty()) out.pop_back();
  }
  return out + "...";
}

Cell text_or_null(const std::string& text) {
  return text.empty() ? Cell(nullptr, "-") : Cell(text);
}

// --- runs ---

bool is_starred(const ComparedRun& run, const Metric& metric) {
  const RunScore* score = score_of(run, metric);
  return score != nullptr && !score->qualifies.value_or(true);
}

void add_score_cells(const ComparedRun& run, const Metric& metric, std::vector<Cell>& cells) {
  const RunScore* score = score_of(run, metric);
  const bool judged = score != nullptr && score->qualifies;
  const std::optional<double> number = number_of(run, metric);
  cells.emplace_back(or_null(number),
                     number_text(metric.kind, number) + (is_starred(run, metric) ? "*" : ""));
  cells.push_back(json_cell(judged ? json(*score->qualifies) : json(nullptr)));
  cells.push_back(json_cell(is_starred(run, metric) ? json(score->why_not) : json(nullptr)));
}

Cell number_cell(const ComparedRun& run, const Metric& metric) {
  const std::optional<double> number = number_of(run, metric);
  const std::string text = number_text(metric.kind, number);
  if (metric.count == nullptr) return {or_null(number), text};
  return {or_null(run.result.*metric.count), text};
}

Table runs_table(const Comparison& comparison) {
  const bool labeled =
      std::any_of(comparison.runs.begin(), comparison.runs.end(),
                  [](const ComparedRun& run) { return !run.result.label.value_or("").empty(); });
  std::vector<Column> columns = {{"label", "run"},
                                 {"sweep_label", labeled ? "label" : ""},
                                 {"run_dir", ""},
                                 {"configuration", "configuration", Align::right},
                                 {"seed", "seed", Align::right},
                                 {"source_seed", ""},
                                 {"status", "status"}};
  for (const Metric& metric : compared_metrics()) {
    columns.push_back({metric.key, metric.title, Align::right});
    if (metric.kind != FigureKind::score) continue;
    columns.push_back({metric.rule + "_qualifies", ""});
    columns.push_back({metric.rule + "_why_not", ""});
  }
  Table table("runs", columns);
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    const ComparedRun& run = comparison.runs[i];
    const std::size_t configuration = comparison.configuration_of[i] + 1;
    const auto seed = run.keys.find(seed_key);
    std::vector<Cell> cells = {run.label,
                               text_or_null(run.result.label.value_or("")),
                               run.directory,
                               {configuration, std::to_string(configuration)},
                               seed == run.keys.end() ? Cell(nullptr, "-") : Cell(seed->second),
                               json_cell(run.source ? json(run.source->seed) : json(nullptr)),
                               run.status};
    for (const Metric& metric : compared_metrics()) {
      if (metric.kind == FigureKind::score) {
        add_score_cells(run, metric, cells);
      } else {
        cells.push_back(number_cell(run, metric));
      }
    }
    table.add_row(std::move(cells));
  }
  return table;
}

bool has_star(const Comparison& comparison) {
  const auto& metrics = compared_metrics();
  return std::any_of(comparison.runs.begin(), comparison.runs.end(), [&](const ComparedRun& run) {
    return std::any_of(metrics.begin(), metrics.end(),
                       [&](const Metric& metric) { return is_starred(run, metric); });
  });
}

// --- configurations ---

void add_metric_columns(const Metric& metric, std::vector<Column>& columns) {
  if (!metric.measured) {
    columns.push_back({metric.key, metric.title, Align::right});
  } else if (metric.kind == FigureKind::score) {
    columns.push_back({metric.key, metric.title, Align::right});
    columns.push_back({metric.key + "_deviation", ""});
  } else {
    columns.push_back({metric.key, "runs", Align::right});
    columns.push_back({"", "mean " + metric.title, Align::right});
    columns.push_back({"", "deviation", Align::right});
  }
}

void add_metric_cells(const Metric& metric, const MeanAndDeviation& about,
                      std::vector<Cell>& cells) {
  const std::optional<double> common = about.common();
  const std::string mean = number_text(metric.kind, about.mean);
  const std::string deviation = number_text(metric.kind, about.deviation);
  if (!metric.measured) {
    const bool counted = common && metric.kind == FigureKind::count;
    cells.emplace_back(counted ? json(std::llround(*common)) : or_null(common),
                       number_text(metric.kind, common));
  } else if (metric.kind == FigureKind::score) {
    // A score seldom varies: mean and deviation share a column.
    cells.emplace_back(or_null(about.mean),
                       common ? number_text(metric.kind, common) : mean + " +- " + deviation);
    cells.push_back(json_cell(or_null(about.deviation)));
  } else {
    cells.emplace_back(json{{"count", about.count},
                            {"mean", or_null(about.mean)},
                            {"deviation", or_null(about.deviation)}},
                       std::to_string(about.count));
    cells.emplace_back(mean);
    cells.emplace_back(deviation);
  }
}

Table configurations_table(const Comparison& comparison) {
  std::vector<Column> columns = {
      {"configuration", "configuration", Align::right}, {"runs", ""}, {"seeds", "seeds"}};
  for (const Metric& metric : compared_metrics()) add_metric_columns(metric, columns);
  Table table("configurations", columns);
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const Configuration& configuration = comparison.configurations[c];
    json labels = json::array();
    for (const std::size_t i : configuration.runs) labels.push_back(comparison.runs[i].label);
    std::vector<Cell> cells = {{c + 1, number_name(c)},
                               json_cell(std::move(labels)),
                               {configuration.seeds, cut(joined(configuration.seeds))}};
    for (const Metric& metric : compared_metrics()) {
      add_metric_cells(metric, configuration.metrics.at(metric.key), cells);
    }
    table.add_row(std::move(cells));
  }
  // Without repeats the table of the runs has the same numbers.
  const bool repeats = comparison.configurations.size() < comparison.runs.size();
  if (!repeats) table.restrict_to(Form::json);
  return table;
}

// --- differences ---

Table differences_table(const Comparison& comparison) {
  std::vector<Column> columns = {{"key", "key"}, {"values", ""}};
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    columns.push_back({"", "configuration " + number_name(c)});
  }
  Table table("differences", columns);
  for (const Difference& difference : comparison.differences) {
    json values = json::array();
    for (const auto& value : difference.values) values.push_back(or_null(value));
    std::vector<Cell> cells = {difference.key, json_cell(std::move(values))};
    for (const auto& value : difference.values) cells.emplace_back(value ? cut(*value) : "-");
    table.add_row(std::move(cells));
  }
  if (comparison.differences.empty()) table.restrict_to(Form::json);
  return table;
}

}  // namespace

Document document_of(const Comparison& comparison) {
  Document document;
  document.begin_section().add(runs_table(comparison));
  if (has_star(comparison)) document.add(Paragraph{"*: does not qualify, a note says why"});
  Table configurations = configurations_table(comparison);
  const bool repeats = configurations.form() != Form::json;
  document.begin_section().add(std::move(configurations));
  if (repeats) document.add(Paragraph{"deviation: of the sample, with the divisor n - 1"});
  document.begin_section().add(differences_table(comparison));
  Notes notes{"notes", {}};
  for (const std::string& note : comparison.notes) notes.notes.push_back({note});
  document.begin_section().add(std::move(notes));
  return document;
}

}  // namespace qhost::report
