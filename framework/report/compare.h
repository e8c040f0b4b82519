/// report/compare.h: several runs side by side: what they reached, what they weigh, in which keys
/// of their configuration they differ, and the mean over those that differ in their seed only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/statistics.h"
#include "runs/run_result.h"

namespace qhost::report {

/// What a run's network scores under one rule, as report/score.h has it.
struct RunScore {
  double score = 0;
  std::optional<bool> qualifies;  ///< empty without an accuracy
  std::string why_not;            ///< a sentence when it does not qualify
  std::string note;               ///< what else a reader must know: freebie_note(), or ""
};

/// The run whose weights another one started from (report/source_run.h).
struct SourceRun {
  std::string name;  ///< of its experiment
  std::string seed;  ///< "1"; "1 from 2" when it started from weights of seed 2 itself
  std::map<std::string, std::string> keys;  ///< its identity()
};

/// What must be equal for two runs to be of one configuration: `keys` without train.seed. With
/// `source`, that run's stand in the place of the path train.init_from, each as "train.init_from:
/// KEY".
std::map<std::string, std::string> identity(std::map<std::string, std::string> keys,
                                            const std::optional<SourceRun>& source);

/// What compare() needs to know of a run.
struct ComparedRun {
  std::string label;       ///< unique among the compared runs
  std::string directory;   ///< "" where there is none
  std::string status;      ///< "finished", "failed", "diverged", "interrupted", "running"
  runs::RunResult result;  ///< its result.json; empty before there is one
  /// The keys that can change a result: "train.seed" -> "1", "model.name" -> "\"resnet\"".
  std::map<std::string, std::string> keys;
  std::optional<SourceRun> source;  ///< what train.init_from names; empty where the path counts
  /// What stood in the way, where train.init_from, the run's or that of `source`, was to name a
  /// run.
  std::string why_no_source;
  std::map<std::string, RunScore> scores;  ///< by the name of the rule
  std::string why_no_scores;               ///< what stood in the way, where `scores` is empty
  std::string why_dense;  ///< ScoreRequest::why_dense of the scores, "" where zeros were counted
};

enum class FigureKind { fraction, number, count, score };

/// A column: a number of the result, or a score.
struct Metric {
  std::string key;    ///< in the JSON of a comparison
  std::string title;  ///< of the column
  FigureKind kind = FigureKind::number;
  /// It varies with the seed: mean and deviation are of interest (a score does with the zeros among
  /// the weights). Otherwise it follows from the configuration and is equal in all of its runs.
  bool measured = false;
  std::string rule = "";  ///< of a score: its name
  /// Of a number of the result: which one it is; the second for a count.
  std::optional<double> runs::RunResult::*number = nullptr;
  std::optional<std::int64_t> runs::RunResult::*count = nullptr;
};

/// test_accuracy, bits_per_weight, bits_per_input, weight_bytes, macs, micronet_score,
/// course_score.
const std::vector<Metric>& compared_metrics();
/// The run's; empty where it has none.
std::optional<double> number_of(const ComparedRun& run, const Metric& metric);
/// Whether it is finished with a test loss that is finite, or of which nothing is known: what an
/// older build called finished may have a loss of null. Only such runs enter a mean.
bool counts(const ComparedRun& run);
/// nullptr for a metric that is no score and for a run without it.
const RunScore* score_of(const ComparedRun& run, const Metric& metric);

/// Runs whose keys are equal but for train.seed, of their sources too.
struct Configuration {
  std::vector<std::size_t> runs;   ///< positions in Comparison::runs
  std::vector<std::string> seeds;  ///< of these runs
  /// By the key of a metric. Only finished runs count: the accuracy of a network in the middle of
  /// its training, or of one that gives no numbers, belongs in no mean.
  std::map<std::string, MeanAndDeviation> metrics;
};

struct Difference {
  std::string key;
  std::vector<std::optional<std::string>> values;  ///< one for each configuration
};

struct Comparison {
  std::vector<ComparedRun> runs;              ///< in the order given
  std::vector<std::size_t> configuration_of;  ///< of each run, from 0
  std::vector<Configuration> configurations;  ///< in the order of their first run
  /// By key, without train.seed. "train.init_from" is the path, or names and seeds of the source
  /// runs; the keys in which these differ follow as "train.init_from: KEY".
  std::vector<Difference> differences;
  std::vector<std::string> notes;  ///< what a reader of the numbers must know
};

Comparison compare(std::vector<ComparedRun> runs);

/// A table of the runs, with the label of their sweep where one has one; where there are several of
/// one configuration, one of the configurations; where there are several configurations, one of the
/// differing keys; the notes. A score that does not qualify has a star, and a note says why.
std::string to_text(const Comparison& comparison);
/// {runs: [{label, sweep_label, run_dir, status, configuration, seed, source_seed, test_accuracy,
/// ..., micronet_score, micronet_qualifies, micronet_why_not, course_score, ...}], configurations:
/// [{configuration, runs, seeds, test_accuracy: {count, mean, deviation}, bits_per_weight, ...,
/// micronet_score, micronet_score_deviation, ...}], a score there being the mean,
/// differences: [{key, values}], notes}; configurations count from 1, what is unknown is null.
nlohmann::json to_json(const Comparison& comparison);

}  // namespace qhost::report
