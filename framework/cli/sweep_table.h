/// cli/sweep_table.h: the table with which `qhost run` ends: a row for each point of a sweep.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/load.h"

namespace qhost::cli {

class SweepTable {
 public:
  /// `result` is what result.json says. What it lacks is "-": a run that failed has no accuracy.
  void add(const config::SweepPoint& point, const nlohmann::json& result);
  /// The rows; the means of finished points that differ in their seed alone, with the sample
  /// standard deviation (n - 1); why each point failed that did.
  std::string to_string() const;

 private:
  struct Row {
    std::string label;
    nlohmann::json result;
  };
  std::vector<Row> rows_;
  std::vector<std::string> groups_;  ///< of seeds, in the order of their first point
  std::map<std::string, std::vector<double>> accuracies_;
};

/// The column of a mean number of bits: "1.12"; "-" where `result` has no such number.
std::string bits_cell(const nlohmann::json& result, const char* key);
/// With separators; "-" where `result` has no such number.
std::string count_cell(const nlohmann::json& result, const char* key);
/// "91.20 %"; "-" where `result` has no such number.
std::string percent_cell(const nlohmann::json& result, const char* key);

}  // namespace qhost::cli
