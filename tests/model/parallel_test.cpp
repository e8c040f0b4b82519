#include "qhost/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "qhost/error.h"

namespace qhost {
namespace {

using Block = std::pair<std::int64_t, std::int64_t>;

std::multiset<Block> blocks_of(std::int64_t n, std::int64_t block) {
  std::multiset<Block> blocks;
  std::mutex guard;
  parallel_blocks(n, block, [&](std::int64_t first, std::int64_t last) {
    const std::lock_guard lock(guard);
    blocks.insert({first, last});
  });
  return blocks;
}

/// Sets the number of threads until the end of the scope.
struct Threads {
  explicit Threads(int count) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(was); }
  int was = at::get_num_threads();
};

TEST(ParallelBlocks, AreTheSameForAnyNumberOfThreads) {
  const std::multiset<Block> expected = {{0, 4}, {4, 8}, {8, 10}};
  for (const int threads : {1, 2, 3}) {
    const Threads scope(threads);
    EXPECT_EQ(blocks_of(10, 4), expected) << threads;
    EXPECT_EQ(blocks_of(4, 4), (std::multiset<Block>{{0, 4}})) << threads;
    EXPECT_EQ(blocks_of(3, 4), (std::multiset<Block>{{0, 3}})) << threads;
    EXPECT_EQ(blocks_of(0, 4), std::multiset<Block>()) << threads;
    EXPECT_EQ(blocks_of(100000, 1).size(), 100000U) << threads;
  }
}

TEST(ParallelBlocks, RunOnSeveralThreads) {
  const Threads scope(2);
  // Each of the two blocks waits for the other: a single thread would never finish.
  std::atomic<int> arrived = 0;
  parallel_blocks(2, 1, [&](std::int64_t, std::int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 2);
}

TEST(ParallelBlocks, HandOnAnException) {
  const Threads scope(2);
  EXPECT_THROW(parallel_blocks(8, 1,
                               [](std::int64_t first, std::int64_t) {
                                 if (first == 5) throw std::runtime_error("five");
                               }),
               std::runtime_error);
}

TEST(ParallelBlocks, RefuseWhatIsNoRange) {
  const auto nothing = [](std::int64_t, std::int64_t) {};
  EXPECT_THROW(parallel_blocks(-1, 4, nothing), Error);
  EXPECT_THROW(parallel_blocks(4, 0, nothing), Error);
}

}  // namespace
}  // namespace qhost
