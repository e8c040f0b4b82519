/// report/compare.h: several runs side by side: what they reached, what they weigh, in which keys
/// of their configuration they differ, and the mean over those that differ in their seed only.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/statistics.h"

namespace qhost::report {

/// What compare() needs to know of a run.
struct ComparedRun {
  std::string label;      ///< unique among the compared runs
  std::string directory;  ///< "" where there is none
  std::string status;     ///< "finished", "diverged", "interrupted", "running"
  nlohmann::json result = nlohmann::json::object();  ///< its result.json; {} before there is one
  /// The keys that can change a result: "train.seed" -> "1", "model.name" -> "\"resnet\"".
  std::map<std::string, std::string> keys;
};

enum class FigureKind { fraction, number, count };

/// A column: a number of result.json.
struct Figure {
  std::string key;    ///< in result.json, and in the JSON of a comparison
  std::string title;  ///< of the column
  FigureKind kind = FigureKind::number;
  /// It varies with the seed: mean and deviation are of interest. Otherwise it follows from the
  /// configuration and is equal in all of its runs.
  bool measured = false;
};

/// test_accuracy, bits_per_weight, weight_bytes, macs.
const std::vector<Figure>& compared_figures();

/// Runs whose keys are equal but for train.seed.
struct Configuration {
  std::vector<std::size_t> runs;   ///< positions in Comparison::runs
  std::vector<std::string> seeds;  ///< of these runs
  /// By the key of a figure. Only finished runs count: the accuracy of a network in the middle of
  /// its training belongs in no mean.
  std::map<std::string, MeanAndDeviation> figures;
};

struct Difference {
  std::string key;
  std::vector<std::optional<std::string>> values;  ///< one for each configuration
};

struct Comparison {
  std::vector<ComparedRun> runs;              ///< in the order given
  std::vector<std::size_t> configuration_of;  ///< of each run, from 0
  std::vector<Configuration> configurations;  ///< in the order of their first run
  std::vector<Difference> differences;        ///< by key, without train.seed
  std::vector<std::string> notes;             ///< what a reader of the numbers must know
};

Comparison compare(std::vector<ComparedRun> runs);

/// A table of the runs; where there are several of one configuration, one of the configurations;
/// where there are several configurations, one of the differing keys; the notes.
std::string to_text(const Comparison& comparison);
/// {runs: [{label, run_dir, status, configuration, seed, test_accuracy, ...}], configurations:
/// [{configuration, runs, seeds, test_accuracy: {count, mean, deviation}, bits_per_weight, ...}],
/// differences: [{key, values}], notes}; configurations count from 1, what is unknown is null.
nlohmann::json to_json(const Comparison& comparison);

}  // namespace qhost::report
