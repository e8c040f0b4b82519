#include <cmath>

#include "report/compare_parts.h"

namespace qhost::report {
namespace {

using nlohmann::json;

json optional_json(const std::optional<double>& number) {
  return number ? json(*number) : json(nullptr);
}

json common_json(FigureKind kind, const MeanAndDeviation& about) {
  const std::optional<double> number = about.common();
  return number && kind == FigureKind::count ? json(std::llround(*number)) : optional_json(number);
}

void add_score(const ComparedRun& run, const Metric& metric, json& out) {
  const RunScore* score = score_of(run, metric);
  const bool judged = score != nullptr && score->qualifies;
  const bool fails = judged && !*score->qualifies;
  out[metric.key] = optional_json(number_of(run, metric));
  out[metric.rule + "_qualifies"] = judged ? json(*score->qualifies) : json(nullptr);
  out[metric.rule + "_why_not"] = fails ? json(score->why_not) : json(nullptr);
}

json run_json(const Comparison& comparison, std::size_t index) {
  const ComparedRun& run = comparison.runs[index];
  const auto seed = run.keys.find("train.seed");
  const std::string sweep_label = run.result.label.value_or("");
  json out = {{"label", run.label},
              {"sweep_label", sweep_label.empty() ? json(nullptr) : json(sweep_label)},
              {"run_dir", run.directory},
              {"status", run.status},
              {"configuration", comparison.configuration_of[index] + 1},
              {"seed", seed == run.keys.end() ? json(nullptr) : json(seed->second)},
              {"source_seed", run.source ? json(run.source->seed) : json(nullptr)}};
  for (const Metric& metric : compared_metrics()) {
    if (metric.kind == FigureKind::score) {
      add_score(run, metric, out);
      continue;
    }
    if (metric.count != nullptr) {
      const std::optional<std::int64_t>& count = run.result.*metric.count;
      out[metric.key] = count ? json(*count) : json(nullptr);
    } else {
      out[metric.key] = optional_json(number_of(run, metric));
    }
  }
  return out;
}

json configuration_json(const Comparison& comparison, std::size_t number) {
  const Configuration& configuration = comparison.configurations[number];
  json labels = json::array();
  for (const std::size_t i : configuration.runs) labels.push_back(comparison.runs[i].label);
  json out = {{"configuration", number + 1}, {"runs", labels}, {"seeds", configuration.seeds}};
  for (const Metric& metric : compared_metrics()) {
    const MeanAndDeviation& about = configuration.metrics.at(metric.key);
    if (!metric.measured) {
      out[metric.key] = common_json(metric.kind, about);
      continue;
    }
    if (metric.kind == FigureKind::score) {
      out[metric.key] = optional_json(about.mean);
      out[metric.key + "_deviation"] = optional_json(about.deviation);
      continue;
    }
    out[metric.key] = {{"count", about.count},
                       {"mean", optional_json(about.mean)},
                       {"deviation", optional_json(about.deviation)}};
  }
  return out;
}

}  // namespace

json to_json(const Comparison& comparison) {
  json out = {{"runs", json::array()},
              {"configurations", json::array()},
              {"differences", json::array()},
              {"notes", comparison.notes}};
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    out["runs"].push_back(run_json(comparison, i));
  }
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    out["configurations"].push_back(configuration_json(comparison, c));
  }
  for (const Difference& difference : comparison.differences) {
    json values = json::array();
    for (const auto& value : difference.values) {
      values.push_back(value ? json(*value) : json(nullptr));
    }
    out["differences"].push_back({{"key", difference.key}, {"values", values}});
  }
  return out;
}

}  // namespace qhost::report
