#include "k_means.h"

#include <algorithm>
#include <cstddef>

namespace qhost::ptq {
namespace {

std::vector<double> start_of(const std::vector<float>& sorted, int entries, CenterStart start) {
  std::vector<double> centers;
  const double first = sorted.front(), last = sorted.back();
  for (int k = 0; k < entries; ++k) {
    if (start == CenterStart::linear) {
      centers.push_back(first + k * (last - first) / (entries - 1));
    } else {
      const auto rank = (2 * static_cast<std::size_t>(k) + 1) * sorted.size() /
                        (2 * static_cast<std::size_t>(entries));
      centers.push_back(sorted[rank]);
    }
  }
  return centers;
}

/// ends[k]: how many values lie at or below the middle of the centers k and k + 1.
std::vector<std::size_t> cells(const std::vector<float>& sorted,
                               const std::vector<double>& centers) {
  std::vector<std::size_t> ends;
  for (std::size_t k = 0; k + 1 < centers.size(); ++k) {
    const double middle = (centers[k] + centers[k + 1]) / 2;
    const auto end = std::upper_bound(sorted.begin(), sorted.end(), middle,
                                      [](double m, float x) { return m < static_cast<double>(x); });
    ends.push_back(static_cast<std::size_t>(end - sorted.begin()));
  }
  ends.push_back(sorted.size());
  return ends;
}

}  // namespace

std::vector<double> k_means(const std::vector<float>& sorted, int entries, CenterStart start,
                            int iterations) {
  std::vector<double> centers = start_of(sorted, entries, start);
  std::vector<std::size_t> ends = cells(sorted, centers);
  for (int i = 0; i < iterations; ++i) {
    std::size_t begin = 0;
    for (std::size_t k = 0; k < centers.size(); ++k) {
      if (ends[k] > begin) {
        double sum = 0;
        for (std::size_t j = begin; j < ends[k]; ++j) sum += static_cast<double>(sorted[j]);
        centers[k] = sum / static_cast<double>(ends[k] - begin);
      }
      begin = std::max(begin, ends[k]);
    }
    const std::vector<std::size_t> next = cells(sorted, centers);
    if (next == ends) break;
    ends = next;
  }
  return centers;
}

}  // namespace qhost::ptq
