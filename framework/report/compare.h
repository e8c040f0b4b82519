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

#include "report/document.h"
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

/// Two runs are of one configuration if these are equal: `keys` without train.seed. With `source`,
/// the keys of that run replace the path train.init_from, each as "train.init_from: KEY".
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
  /// Why the run that train.init_from names, here or in `source`, could not be read; else "".
  std::string why_no_source;
  std::map<std::string, RunScore> scores;  ///< by the name of the rule
  std::string why_no_scores;               ///< why `scores` is empty
  std::string why_dense;  ///< ScoreRequest::why_dense of the scores, "" where zeros were counted
};

enum class FigureKind { fraction, number, count, score };

/// A column: a number of the result, or a score.
struct Metric {
  std::string key;    ///< in the JSON of a comparison
  std::string title;  ///< of the column
  FigureKind kind = FigureKind::number;
  /// It varies with the seed, so that mean and deviation are shown (a score varies with the zeros
  /// among the weights). If not, the configuration determines it, and all of its runs agree.
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
/// Whether the run enters a mean: it is finished, and its test loss, if recorded, is finite. (An
/// older build called a run finished whose loss is null.)
bool counts(const ComparedRun& run);
/// nullptr for a metric that is no score and for a run without it.
const RunScore* score_of(const ComparedRun& run, const Metric& metric);

/// Runs whose keys are equal but for train.seed, of their sources too.
struct Configuration {
  std::vector<std::size_t> runs;   ///< positions in Comparison::runs
  std::vector<std::string> seeds;  ///< of these runs
  /// By the key of a metric, over the runs that counts() accepts.
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

/// Text: a table of the runs, with their labels in a sweep if there are any; a table of the
/// configurations if one of them has several runs; a table of the keys that differ if there are
/// several configurations; the notes. A score that does not qualify has a star, and a note says
/// why.
/// JSON: {runs: [{label, sweep_label, run_dir, status, configuration, seed, source_seed,
/// test_accuracy, ..., micronet_score, micronet_qualifies, micronet_why_not, course_score, ...}],
/// configurations: [{configuration, runs, seeds, test_accuracy: {count, mean, deviation},
/// bits_per_weight, ..., micronet_score, micronet_score_deviation, ...}], a score being the mean,
/// differences: [{key, values}], notes}; configurations count from 1, what is unknown is null.
Document document_of(const Comparison& comparison);

}  // namespace qhost::report
