#include "data/numpy_random.h"

#include <bit>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

namespace qhost::data {

std::vector<std::uint32_t> numpy_permutation(std::uint32_t seed, std::uint32_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937 words(seed);
  for (std::uint32_t i = n; i-- > 1;) {
    const std::uint32_t mask = std::bit_ceil(std::uint64_t{i} + 1) - 1;
    std::uint32_t j = 0;
    do {
      j = static_cast<std::uint32_t>(words()) & mask;
    } while (j > i);
    std::swap(order[i], order[j]);
  }
  return order;
}

std::vector<std::uint32_t> numpy_choice(std::uint32_t seed, std::uint32_t n, std::uint32_t size) {
  if (size > n) {
    throw std::invalid_argument("numpy_choice: cannot take " + std::to_string(size) + " of " +
                                std::to_string(n) + " without replacement");
  }
  std::vector<std::uint32_t> order = numpy_permutation(seed, n);
  order.resize(size);
  return order;
}

}  // namespace qhost::data
