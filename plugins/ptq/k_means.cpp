#include "k_means.h"

#include <algorithm>
#include <cstddef>

namespace qhost::ptq {
namespace {

std::vector<double> start_of(const std::vector<float>& sorted, int entries, CentreStart start) {
  std::vector<double> centres;
  const double first = sorted.front(), last = sorted.back();
  for (int k = 0; k < entries; ++k) {
    if (start == CentreStart::linear) {
      centres.push_back(first + k * (last - first) / (entries - 1));
    } else {
      const auto rank = (2 * static_cast<std::size_t>(k) + 1) * sorted.size() /
                        (2 * static_cast<std::size_t>(entries));
      centres.push_back(sorted[rank]);
    }
  }
  return centres;
}

/// ends[k]: how many values lie at or below the middle of the centres k and k + 1.
std::vector<std::size_t> cells(const std::vector<float>& sorted,
                               const std::vector<double>& centres) {
  std::vector<std::size_t> ends;
  for (std::size_t k = 0; k + 1 < centres.size(); ++k) {
    const double middle = (centres[k] + centres[k + 1]) / 2;
    const auto end = std::upper_bound(sorted.begin(), sorted.end(), middle,
                                      [](double m, float x) { return m < static_cast<double>(x); });
    ends.push_back(static_cast<std::size_t>(end - sorted.begin()));
  }
  ends.push_back(sorted.size());
  return ends;
}

}  // namespace

std::vector<double> k_means(const std::vector<float>& sorted, int entries, CentreStart start,
                            int iterations) {
  std::vector<double> centres = start_of(sorted, entries, start);
  std::vector<std::size_t> ends = cells(sorted, centres);
  for (int i = 0; i < iterations; ++i) {
    std::size_t begin = 0;
    for (std::size_t k = 0; k < centres.size(); ++k) {
      if (ends[k] > begin) {
        double sum = 0;
        for (std::size_t j = begin; j < ends[k]; ++j) sum += static_cast<double>(sorted[j]);
        centres[k] = sum / static_cast<double>(ends[k] - begin);
      }
      begin = std::max(begin, ends[k]);
    }
    const std::vector<std::size_t> next = cells(sorted, centres);
    if (next == ends) break;
    ends = next;
  }
  return centres;
}

}  // namespace qhost::ptq
