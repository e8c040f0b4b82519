/// k-means in one dimension: Lloyd's iterations from a start without chance.
#pragma once

#include <vector>

namespace qhost::ptq {

/// Where the centers start, for K centers over sorted values x_1 <= .. <= x_n (Han, Mao, Dally,
/// ICLR 2016, arXiv 1510.00149, section 3.2):
///   linear    x_1 + k * (x_n - x_1)/(K - 1), k = 0 .. K-1
///   density   the value of rank floor((k + 1/2) * n/K)
enum class CenterStart { linear, density };

/// K = `entries` centers, ascending. Each iteration gives every value to the nearest center (a
/// value in the middle of two to the lower one) and moves each center to the mean of its values; a
/// center without values stays. Ends when no value changes its center, or after `iterations`. Sums
/// run in double, in ascending order. `sorted` is not empty.
std::vector<double> k_means(const std::vector<float>& sorted, int entries, CenterStart start,
                            int iterations);

}  // namespace qhost::ptq
