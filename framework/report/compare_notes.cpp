#include <algorithm>
#include <set>
#include <utility>

#include "common/lines.h"
#include "report/compare_parts.h"
#include "report/score.h"

namespace qhost::report {
namespace {

/// Groups names by the sentence that is said of them, in the order of the first use.
class Sentences {
 public:
  void add(const std::string& sentence, const std::string& who) {
    if (sentence.empty()) return;
    auto found = std::find_if(list_.begin(), list_.end(),
                              [&](const auto& known) { return known.first == sentence; });
    if (found == list_.end()) found = list_.insert(found, {sentence, {}});
    found->second.push_back(who);
  }
  const auto& list() const { return list_; }

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> list_;
};

/// What a run was tested on: `"cifar10", classes [3, 5]`.
std::string test_set(const ComparedRun& run) {
  std::string text = value_of(run, "data.name");
  const std::string classes = value_of(run, "data.classes"), labels = value_of(run, "data.labels");
  if (!classes.empty() && classes != "[]") text += ", classes " + classes;
  if (!labels.empty() && labels != "\"fine\"") text += ", labels " + labels;
  return text;
}

void note_test_sets(Comparison& comparison) {
  Sentences sets;
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    sets.add(test_set(comparison.runs[comparison.configurations[c].runs.front()]), number_name(c));
  }
  if (sets.list().size() < 2) return;
  std::string text;
  for (const auto& [set, numbers] : sets.list()) {
    text += (text.empty() ? "" : "; ") + set + " (configuration " + joined(numbers) + ")";
  }
  comparison.notes.push_back("accuracies on different test images do not compare: " + text);
}

/// Read from the results, not the keys: one data set name may have meant different files.
void note_data(Comparison& comparison) {
  Sentences remarks;
  for (const ComparedRun& run : comparison.runs) {
    std::string remark = run.result.data_remark.value_or("");
    if (run.result.validation_is_test_images == true) {
      remark += remark.empty() ? "" : "; ";
      remark += "the best epoch was chosen on images of the test set";
    }
    remarks.add(remark, run.label);
  }
  for (const auto& [remark, labels] : remarks.list()) {
    comparison.notes.push_back(joined(labels) + ": " + remark);
  }
}

/// Differences that the user allowed with an option.
void note_allowed(Comparison& comparison) {
  Sentences sentences;
  for (const ComparedRun& run : comparison.runs) {
    if (!run.result.allowed) continue;
    for (const std::string& sentence : *run.result.allowed) sentences.add(sentence, run.label);
  }
  for (const auto& [sentence, labels] : sentences.list()) {
    comparison.notes.push_back(joined(labels) + " went on with " + sentence);
  }
}

/// Runs whose packed network computes something else.
void note_verification(Comparison& comparison) {
  Sentences sentences;
  for (const ComparedRun& run : comparison.runs) {
    if (run.result.verified != nlohmann::json(false)) continue;
    sentences.add("the packed network does not compute what was trained (qhost verify)", run.label);
  }
  for (const auto& [sentence, labels] : sentences.list()) {
    comparison.notes.push_back(joined(labels) + ": " + sentence);
  }
}

/// Why scores do not qualify: one note for all runs with the same reason.
void note_verdicts(Comparison& comparison, const Metric& metric) {
  Sentences reasons;
  for (const ComparedRun& run : comparison.runs) {
    const RunScore* score = score_of(run, metric);
    if (score == nullptr || score->qualifies.value_or(true)) continue;
    reasons.add(score->why_not, run.label);
  }
  for (const auto& [why, labels] : reasons.list()) {
    const bool all = labels.size() > 1 && labels.size() == comparison.runs.size();
    const std::string verb = labels.size() > 1 ? " do not qualify" : " does not qualify";
    comparison.notes.push_back((all ? "no run qualifies" : joined(labels) + verb) + " under " +
                               metric.rule + ": " + why);
  }
}

void note_scores(Comparison& comparison) {
  for (const Metric& metric : compared_metrics()) {
    note_verdicts(comparison, metric);
    Sentences sentences;
    for (const ComparedRun& run : comparison.runs) {
      if (const RunScore* score = score_of(run, metric)) sentences.add(score->note, run.label);
    }
    for (const auto& [sentence, labels] : sentences.list()) {
      comparison.notes.push_back(joined(labels) + " under " + metric.rule + ": " + sentence);
    }
  }
  Sentences dense;
  for (const ComparedRun& run : comparison.runs) {
    if (!run.scores.empty()) dense.add(run.why_dense, run.label);
  }
  for (const auto& [why, labels] : dense.list()) {
    comparison.notes.push_back(joined(labels) + ": " + dense_note(why));
  }
  for (const ComparedRun& run : comparison.runs) {
    if (run.why_no_scores.empty()) continue;
    comparison.notes.push_back(run.label + " has no scores: " + run.why_no_scores);
  }
}

/// The seeds of the run and of its source: runs that start from different weights are no repeats.
std::string seed_text(const ComparedRun& run) {
  return value_of(run, seed_key) + (run.source ? " from " + run.source->seed : "");
}

/// Two facts that the tables do not show: source runs that differ within a configuration, and paths
/// that count as different only because their runs could not be read.
void note_sources(Comparison& comparison) {
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const Configuration& configuration = comparison.configurations[c];
    const std::string sources = sources_text(comparison, configuration);
    std::set<std::string> seeds;
    for (const std::size_t i : configuration.runs) {
      if (!sources.empty()) seeds.insert(comparison.runs[i].source->seed);
    }
    if (seeds.size() < 2) continue;
    comparison.notes.push_back(
        "configuration " + number_name(c) +
        ": its runs start from runs that differ in their seed only: " + sources);
  }
  const auto& differences = comparison.differences;
  if (std::none_of(differences.begin(), differences.end(),
                   [](const Difference& difference) { return difference.key == source_key; })) {
    return;
  }
  for (const ComparedRun& run : comparison.runs) {
    if (run.why_no_source.empty()) continue;
    comparison.notes.push_back(run.label + (run.source ? " goes back to a run that" : "") +
                               " counts by the path of train.init_from, not by what was trained " +
                               "there: " + run.why_no_source);
  }
}

/// "a/1 is interrupted", "a/1 failed (cannot read x)"
std::string ended(const ComparedRun& run) {
  const std::string error = run.result.error.value_or("");
  const std::string reason = error.empty() ? "" : " (" + first_line(error) + ")";
  return run.label + (run.status == "failed" ? " failed" : " is " + run.status) + reason;
}

void note_runs(Comparison& comparison) {
  for (const ComparedRun& run : comparison.runs) {
    if (run.status != "finished") {
      comparison.notes.push_back(ended(run) + ": it has no test accuracy and is in no mean");
    } else if (!counts(run)) {
      comparison.notes.push_back(run.label +
                                 " is called finished, but its test loss is not finite: its "
                                 "accuracy says nothing and is in no mean");
    }
  }
  for (std::size_t c = 0; c < comparison.configurations.size(); ++c) {
    const Configuration& configuration = comparison.configurations[c];
    std::map<std::string, std::vector<std::string>> by_seed;
    for (const std::size_t i : configuration.runs) {
      const ComparedRun& run = comparison.runs[i];
      if (counts(run)) by_seed[seed_text(run)].push_back(run.label);
    }
    for (const auto& [seed, labels] : by_seed) {
      if (labels.size() < 2) continue;
      comparison.notes.push_back("configuration " + number_name(c) + ": seed " + seed +
                                 " stands there " + std::to_string(labels.size()) + " times (" +
                                 joined(labels) +
                                 "): repeats make the deviation too small; give one of them");
    }
    for (const Metric& metric : compared_metrics()) {
      const MeanAndDeviation& about = configuration.metrics.at(metric.key);
      if (metric.measured || about.count == 0 || about.common()) continue;
      comparison.notes.push_back("configuration " + number_name(c) + ": " + metric.key +
                                 " differs between its runs: were they made by different versions "
                                 "of qhost or of a plugin? environment.json says");
    }
  }
}

}  // namespace

void add_notes(Comparison& comparison) {
  note_test_sets(comparison);
  note_data(comparison);
  note_allowed(comparison);
  note_verification(comparison);
  note_sources(comparison);
  note_runs(comparison);
  note_scores(comparison);
}

}  // namespace qhost::report
