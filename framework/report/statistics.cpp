#include "report/statistics.h"

#include <algorithm>
#include <cmath>

namespace qhost::report {

MeanAndDeviation mean_and_deviation(const std::vector<double>& numbers) {
  MeanAndDeviation result{numbers.size(), std::nullopt, std::nullopt};
  if (numbers.empty()) return result;
  const auto count = static_cast<double>(numbers.size());
  double sum = 0;
  for (const double number : numbers) sum += number;
  // Equal numbers have exactly that mean and the deviation 0 in spite of the rounding of the sum.
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  const double mean = std::clamp(sum / count, *least, *most);
  result.mean = mean;
  if (numbers.size() < 2) return result;
  double squares = 0;
  for (const double number : numbers) squares += (number - mean) * (number - mean);
  result.deviation = std::sqrt(squares / (count - 1));
  return result;
}

}  // namespace qhost::report
