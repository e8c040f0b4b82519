#include "report/compare.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace qhost::report {
namespace {

const std::string seed_key = "train.seed";

std::map<std::string, std::string> without_seed(std::map<std::string, std::string> keys) {
  keys.erase(seed_key);
  return keys;
}

std::string value_of(const ComparedRun& run, const std::string& key) {
  const auto found = run.keys.find(key);
  return found == run.keys.end() ? "" : found->second;
}

std::string text_of(const ComparedRun& run, const std::string& key) {
  const auto found = run.result.find(key);
  return found != run.result.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string number_name(std::size_t configuration) {
  return std::to_string(configuration + 1);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void group(Comparison& comparison) {
  std::map<std::map<std::string, std::string>, std::size_t> known;
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    const ComparedRun& run = comparison.runs[i];
    const std::size_t number =
        known.emplace(without_seed(run.keys), comparison.configurations.size()).first->second;
    if (number == comparison.configurations.size()) comparison.configurations.emplace_back();
    comparison.configuration_of.push_back(number);
    comparison.configurations[number].runs.push_back(i);
    comparison.configurations[number].seeds.push_back(value_of(run, seed_key));
  }
}

void measure(Comparison& comparison) {
  for (Configuration& configuration : comparison.configurations) {
    for (const Figure& figure : compared_figures()) {
      std::vector<double> numbers;
      for (const std::size_t i : configuration.runs) {
        const ComparedRun& run = comparison.runs[i];
        if (figure.measured && run.status != "finished") continue;
        if (const auto number = number_of(run, figure)) numbers.push_back(*number);
      }
      configuration.figures[figure.key] = mean_and_deviation(numbers);
    }
  }
}

void find_differences(Comparison& comparison) {
  std::set<std::string> all;
  for (const ComparedRun& run : comparison.runs) {
    for (const auto& [key, unused] : run.keys) all.insert(key);
  }
  all.erase(seed_key);
  for (const std::string& key : all) {
    Difference difference{key, {}};
    for (const Configuration& configuration : comparison.configurations) {
      const auto& keys = comparison.runs[configuration.runs.front()].keys;
      const auto found = keys.find(key);
      difference.values.push_back(found == keys.end() ? std::nullopt
                                                      : std::optional(found->second));
    }
    const auto& values = difference.values;
    if (std::any_of(values.begin(), values.end(), [&](const auto& v) { return v != values[0]; })) {
      comparison.differences.push_back(std::move(difference));
    }
  }
}

/// What a run was tested on: `"cifar10", classes [3, 5]`.
std::string test_set(const ComparedRun& run) {
  std::string text = value_of(run, "data.name");
  const std::string classes = value_of(run, "data.classes"), labels = value_of(run, "data.labels");
  if (!classes.empty() && classes != "[]") text += ", classes " + classes;
  if (!labels.empty() && labels != "\"fine\"") text += ", labels " + labels;
  return text;
}

void note_test_sets(Comparison& comparison) {
  std::vector<std::pair<std::string, std::vector<std::string>>> sets;
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const std::string set = test_set(comparison.runs[comparison.configurations[c].runs.front()]);
    auto found = std::find_if(sets.begin(), sets.end(),
                              [&](const auto& known) { return known.first == set; });
    if (found == sets.end()) found = sets.insert(found, {set, {}});
    found->second.push_back(number_name(c));
  }
  if (sets.size() < 2) return;
  std::string text;
  for (const auto& [set, numbers] : sets) {
    text += (text.empty() ? "" : "; ") + set + " (configuration " + joined(numbers) + ")";
  }
  comparison.notes.push_back("accuracies on different test images do not compare: " + text);
}

/// Not from the keys: runs of one configuration may have found other files under one name.
void note_data(Comparison& comparison) {
  std::vector<std::pair<std::string, std::vector<std::string>>> remarks;
  for (const ComparedRun& run : comparison.runs) {
    std::string remark = text_of(run, "data_remark");
    const auto chosen = run.result.find("validation_is_test_images");
    if (chosen != run.result.end() && *chosen == true) {
      remark += remark.empty() ? "" : "; ";
      remark += "the best epoch was chosen on images of the test set";
    }
    if (remark.empty()) continue;
    auto found = std::find_if(remarks.begin(), remarks.end(),
                              [&](const auto& known) { return known.first == remark; });
    if (found == remarks.end()) found = remarks.insert(found, {remark, {}});
    found->second.push_back(run.label);
  }
  for (const auto& [remark, labels] : remarks) {
    comparison.notes.push_back(joined(labels) + ": " + remark);
  }
}

/// A score below its rule's threshold is a number like any other: what it lacks is said once for
/// all runs that lack it.
void note_scores(Comparison& comparison) {
  for (const Figure& figure : compared_figures()) {
    std::vector<std::pair<std::string, std::vector<std::string>>> reasons;
    for (const ComparedRun& run : comparison.runs) {
      const RunScore* score = score_of(run, figure);
      if (score == nullptr || score->qualifies.value_or(true)) continue;
      auto found = std::find_if(reasons.begin(), reasons.end(),
                                [&](const auto& known) { return known.first == score->why_not; });
      if (found == reasons.end()) found = reasons.insert(found, {score->why_not, {}});
      found->second.push_back(run.label);
    }
    for (const auto& [why, labels] : reasons) {
      const bool all = labels.size() > 1 && labels.size() == comparison.runs.size();
      const std::string verb = labels.size() > 1 ? " do not qualify" : " does not qualify";
      comparison.notes.push_back((all ? "no run qualifies" : joined(labels) + verb) + " under " +
                                 figure.rule + ": " + why);
    }
  }
  for (const ComparedRun& run : comparison.runs) {
    if (run.why_no_scores.empty()) continue;
    comparison.notes.push_back(run.label + " has no scores: " + run.why_no_scores);
  }
}

void note_runs(Comparison& comparison) {
  for (const ComparedRun& run : comparison.runs) {
    if (run.status != "finished") {
      comparison.notes.push_back(run.label + " is " + run.status +
                                 ": it has no test accuracy and is in no mean");
    }
  }
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const Configuration& configuration = comparison.configurations[c];
    std::map<std::string, std::vector<std::string>> by_seed;
    for (const std::size_t i : configuration.runs) {
      const ComparedRun& run = comparison.runs[i];
      if (run.status == "finished") by_seed[value_of(run, seed_key)].push_back(run.label);
    }
    for (const auto& [seed, labels] : by_seed) {
      if (labels.size() < 2) continue;
      comparison.notes.push_back("configuration " + number_name(c) + ": seed " + seed +
                                 " stands there " + std::to_string(labels.size()) + " times (" +
                                 joined(labels) +
                                 "): repeats make the deviation too small; give one of them");
    }
    for (const Figure& figure : compared_figures()) {
      const MeanAndDeviation& about = configuration.figures.at(figure.key);
      if (figure.measured || about.count == 0 || about.common()) continue;
      comparison.notes.push_back("configuration " + number_name(c) + ": " + figure.key +
                                 " differs between its runs: were they made by different versions "
                                 "of qhost or of a plugin? environment.json says");
    }
  }
}

}  // namespace

const std::vector<Figure>& compared_figures() {
  static const std::vector<Figure> list = {
      {"test_accuracy", "test accuracy", FigureKind::fraction, true},
      {"bits_per_weight", "bits a weight", FigureKind::number, false},
      {"weight_bytes", "weight bytes", FigureKind::count, false},
      {"macs", "MACs", FigureKind::count, false},
      {"micronet_score", "micronet", FigureKind::score, false, "micronet"},
      {"course_score", "course", FigureKind::score, false, "course"},
  };
  return list;
}

const RunScore* score_of(const ComparedRun& run, const Figure& figure) {
  const auto found = run.scores.find(figure.rule);
  return found == run.scores.end() ? nullptr : &found->second;
}

std::optional<double> number_of(const ComparedRun& run, const Figure& figure) {
  if (figure.kind == FigureKind::score) {
    const RunScore* score = score_of(run, figure);
    return score == nullptr ? std::nullopt : std::optional(score->score);
  }
  const auto found = run.result.find(figure.key);
  if (found == run.result.end() || !found->is_number()) return std::nullopt;
  const auto number = found->get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

Comparison compare(std::vector<ComparedRun> runs) {
  Comparison comparison;
  comparison.runs = std::move(runs);
  group(comparison);
  measure(comparison);
  find_differences(comparison);
  note_test_sets(comparison);
  note_data(comparison);
  note_runs(comparison);
  note_scores(comparison);
  return comparison;
}

}  // namespace qhost::report
