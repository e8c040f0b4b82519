/// cli/sweep_table.h: the table with which `qhost run` ends: a row for each point of a sweep.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"
#include "runs/run_result.h"

namespace qhost::cli {

class SweepTable {
 public:
  /// What `result` lacks is "-": a run that failed has no accuracy.
  void add(const config::SweepPoint& point, const runs::RunResult& result);
  /// The rows; the means of finished points that differ in their seed alone, with the sample
  /// standard deviation (n - 1); why each point failed that did.
  std::string to_string() const;

 private:
  struct Row {
    std::string label;
    runs::RunResult result;
  };
  std::vector<Row> rows_;
  std::vector<std::string> groups_;  ///< of seeds, in the order of their first point
  std::map<std::string, std::vector<double>> accuracies_;
};

/// The cell of a mean number of bits: "1.12"; "-" for none.
std::string bits_cell(std::optional<double> bits);
/// With separators; "-" for none.
std::string count_cell(std::optional<std::int64_t> count);
/// "91.20 %"; "-" for none, or one that is not finite.
std::string percent_cell(std::optional<double> fraction);

}  // namespace qhost::cli
