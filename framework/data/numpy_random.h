/// data/numpy_random.h: the draws of numpy.random.RandomState, for data sets that are defined by
/// it.
#pragma once

#include <cstdint>
#include <vector>

namespace qhost::data {

/// 0 .. n-1 as RandomState(seed).permutation(n) and .shuffle(range(n)) order them. The generator is
/// MT19937, seeded as std::mt19937; an index up to i is drawn by masking words to the next power of
/// two and rejecting what exceeds i; swaps run from the last place to the second.
std::vector<std::uint32_t> numpy_permutation(std::uint32_t seed, std::uint32_t n);

/// RandomState(seed).choice(n, size, replace=False): the first `size` places of the permutation.
/// Throws std::invalid_argument when size > n.
std::vector<std::uint32_t> numpy_choice(std::uint32_t seed, std::uint32_t n, std::uint32_t size);

}  // namespace qhost::data
