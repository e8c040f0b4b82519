/// cli/sweep_table.h: what `qhost run` ends with: a row for each point of a sweep.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"
#include "report/document.h"
#include "runs/run_result.h"

namespace qhost::cli {

struct PointResult {
  std::string label;       ///< the experiment's name where the point has no label
  bool has_seed = false;   ///< the point sets train.seed
  std::string group;       ///< equal for points that differ in their seed alone
  runs::RunResult result;  ///< a member that it lacks is "-" in the text
};
PointResult result_of(const config::SweepPoint& point, runs::RunResult result);
/// Its result.json, and "seed_group" where the point sets train.seed.
nlohmann::json to_json(const PointResult& point);

/// Text: the rows; the means of finished points that differ in their seed alone, with the sample
/// standard deviation (n - 1); why each point failed that did.
/// JSON: {status, points}, the points as their result.json.
report::Document document_of(const std::vector<PointResult>& points, const std::string& status);

/// The cell of a mean number of bits: "1.12"; "-" for none.
std::string bits_cell(std::optional<double> bits);
/// With separators; "-" for none.
std::string count_cell(std::optional<std::int64_t> count);
/// "91.20 %"; "-" for none, or one that is not finite.
std::string percent_cell(std::optional<double> fraction);

}  // namespace qhost::cli
