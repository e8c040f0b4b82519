#include "report/compare.h"

#include <cmath>
#include <utility>

#include "report/compare_parts.h"

namespace qhost::report {

using ::qhost::runs::RunResult;

namespace {

void group(Comparison& comparison) {
  std::map<std::map<std::string, std::string>, std::size_t> known;
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    const ComparedRun& run = comparison.runs[i];
    const std::size_t number =
        known.emplace(identity(run.keys, run.source), comparison.configurations.size())
            .first->second;
    if (number == comparison.configurations.size()) comparison.configurations.emplace_back();
    comparison.configuration_of.push_back(number);
    comparison.configurations[number].runs.push_back(i);
    comparison.configurations[number].seeds.push_back(value_of(run, seed_key));
  }
}

void measure(Comparison& comparison) {
  for (Configuration& configuration : comparison.configurations) {
    for (const Metric& metric : compared_metrics()) {
      std::vector<double> numbers;
      for (const std::size_t i : configuration.runs) {
        const ComparedRun& run = comparison.runs[i];
        if (metric.measured && !counts(run)) continue;
        if (const auto number = number_of(run, metric)) numbers.push_back(*number);
      }
      configuration.metrics[metric.key] = mean_and_deviation(numbers);
    }
  }
}

}  // namespace

std::map<std::string, std::string> identity(std::map<std::string, std::string> keys,
                                            const std::optional<SourceRun>& source) {
  keys.erase(seed_key);
  if (!source) return keys;
  keys.erase(source_key);
  for (const auto& [key, value] : source->keys) keys[source_prefix + key] = value;
  return keys;
}

const std::vector<Metric>& compared_metrics() {
  static const std::vector<Metric> list = {
      {"test_accuracy", "test accuracy", FigureKind::fraction, true, "", &RunResult::test_accuracy},
      {"bits_per_weight", "bits a weight", FigureKind::number, false, "",
       &RunResult::bits_per_weight},
      {"bits_per_input", "bits an input", FigureKind::number, false, "",
       &RunResult::bits_per_input},
      {"weight_bytes", "weight bytes", FigureKind::count, false, "", nullptr,
       &RunResult::weight_bytes},
      {"macs", "MACs", FigureKind::count, false, "", nullptr, &RunResult::macs},
      {"micronet_score", "micronet", FigureKind::score, true, "micronet"},
      {"course_score", "course", FigureKind::score, true, "course"},
  };
  return list;
}

const RunScore* score_of(const ComparedRun& run, const Metric& metric) {
  const auto found = run.scores.find(metric.rule);
  return found == run.scores.end() ? nullptr : &found->second;
}

bool counts(const ComparedRun& run) {
  return run.status == "finished" && !run.result.has_no_finite_loss();
}

std::optional<double> number_of(const ComparedRun& run, const Metric& metric) {
  if (metric.kind == FigureKind::score) {
    const RunScore* score = score_of(run, metric);
    return score == nullptr ? std::nullopt : std::optional(score->score);
  }
  if (metric.count != nullptr) {
    const std::optional<std::int64_t>& count = run.result.*metric.count;
    return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
  }
  const std::optional<double>& number = run.result.*metric.number;
  return number && std::isfinite(*number) ? number : std::nullopt;
}

Comparison compare(std::vector<ComparedRun> runs) {
  Comparison comparison;
  comparison.runs = std::move(runs);
  group(comparison);
  measure(comparison);
  find_differences(comparison);
  add_notes(comparison);
  return comparison;
}

}  // namespace qhost::report
