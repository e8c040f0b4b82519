/// data/numpy_random.h: the draws of numpy.random.RandomState, which define some data sets.
#pragma once

#include <cstdint>
#include <vector>

namespace qhost::data {

/// The numbers 0 .. n-1 in the order of RandomState(seed).permutation(n) and .shuffle(range(n)).
/// The generator is MT19937, seeded as std::mt19937. An index up to i is drawn by masking words to
/// the next power of two and rejecting values above i; swaps run from the last position to the
/// second.
std::vector<std::uint32_t> numpy_permutation(std::uint32_t seed, std::uint32_t n);

/// RandomState(seed).choice(n, size, replace=False): the first `size` places of the permutation.
/// Throws std::invalid_argument if size > n.
std::vector<std::uint32_t> numpy_choice(std::uint32_t seed, std::uint32_t n, std::uint32_t size);

}  // namespace qhost::data
