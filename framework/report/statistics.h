/// report/statistics.h: metrics of several runs in one.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace qhost::report {

/// Mean of `count` numbers and their sample standard deviation, sqrt(sum (x - mean)^2 / (count -
/// 1)), which one number does not have.
struct MeanAndDeviation {
  std::size_t count = 0;
  std::optional<double> mean, deviation;
  /// The number, where all are equal.
  std::optional<double> common() const { return deviation.value_or(0) == 0 ? mean : std::nullopt; }
};
MeanAndDeviation mean_and_deviation(const std::vector<double>& numbers);

}  // namespace qhost::report
