/// The caching allocator: alignment, reuse and statistics.
#include "model/caching_allocator.h"

#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <thread>

#include "support.h"

namespace qhost::test {
namespace {

constexpr std::int64_t large = 64 << 10;

class CachingAllocator : public ::testing::Test {
 protected:
  void SetUp() override {
    {
      const at::Tensor before = at::full({1 << 20}, 7.0F);  // from LibTorch's allocator
      use_caching_allocator();
      EXPECT_EQ(before.sum().item<double>(), 7.0 * (1 << 20));
    }
    release_kept_memory();
    start_ = allocator_statistics();
    ASSERT_EQ(start_.bytes_kept, 0);
  }
  static at::Tensor bytes(std::int64_t n) { return at::empty({n}, at::kByte); }
  AllocatorStatistics start_;
};

TEST_F(CachingAllocator, AlignsEverySizeToACacheLine) {
  std::vector<at::Tensor> alive;
  std::set<const void*> addresses;
  for (const std::int64_t n :
       {std::int64_t{1}, std::int64_t{63}, std::int64_t{64}, std::int64_t{1000}, large - 65,
        large - 64, large - 63, large, large + 1, 3 * large + 17, std::int64_t{2} << 20,
        (std::int64_t{2} << 20) - 64, (std::int64_t{5} << 20) + 1}) {
    alive.push_back(bytes(n));
    void* data = alive.back().mutable_data_ptr();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U) << n;
    std::memset(data, static_cast<int>(alive.size()), static_cast<std::size_t>(n));
    addresses.insert(data);
  }
  EXPECT_EQ(addresses.size(), alive.size());
  for (std::size_t i = 0; i < alive.size(); ++i) {  // no block overlaps another
    EXPECT_TRUE(alive[i].eq(static_cast<int>(i + 1)).all().item<bool>()) << i;
  }
  EXPECT_EQ(at::empty({0}).numel(), 0);
}

TEST_F(CachingAllocator, GivesAFreedBlockToTheNextOfNearlyItsSize) {
  at::Tensor first = bytes(1 << 20);
  const void* address = first.const_data_ptr();
  const AllocatorStatistics used = allocator_statistics();
  const std::int64_t block = used.bytes_in_use - start_.bytes_in_use;
  EXPECT_GE(block, (1 << 20) + 64);
  EXPECT_LE(block, (1 << 20) * 9 / 8 + 64);
  EXPECT_EQ(used.requests, start_.requests + 1);
  EXPECT_EQ(used.reused, start_.reused);
  first.reset();
  EXPECT_EQ(allocator_statistics().bytes_in_use, start_.bytes_in_use);
  EXPECT_EQ(allocator_statistics().bytes_kept, block);

  const at::Tensor second = bytes((1 << 20) + 1000);
  EXPECT_EQ(second.const_data_ptr(), address);
  EXPECT_EQ(allocator_statistics().reused, start_.reused + 1);
  EXPECT_EQ(allocator_statistics().bytes_kept, 0);
  const at::Tensor third = bytes(1 << 20);  // no block is kept now
  EXPECT_NE(third.const_data_ptr(), address);
  EXPECT_EQ(allocator_statistics().reused, start_.reused + 1);
  EXPECT_EQ(allocator_statistics().requests, start_.requests + 3);
}

TEST_F(CachingAllocator, NeverServesALargerRequestFromASmallerBlock) {
  bytes(large);
  const std::int64_t kept = allocator_statistics().bytes_kept;
  ASSERT_GT(kept, 0);
  const at::Tensor larger = bytes(kept + 1);
  EXPECT_EQ(allocator_statistics().reused, start_.reused);
  EXPECT_EQ(allocator_statistics().bytes_kept, kept);
}

TEST_F(CachingAllocator, LeavesSmallTensorsToMalloc) {
  { const at::Tensor small = bytes(large - 65); }
  const AllocatorStatistics now = allocator_statistics();
  EXPECT_EQ(now.requests, start_.requests);
  EXPECT_EQ(now.bytes_kept, 0);
}

TEST_F(CachingAllocator, ReleasesWhatItKeeps) {
  bytes(large);
  bytes(10 * large);
  EXPECT_GT(allocator_statistics().bytes_kept, 11 * large);
  release_kept_memory();
  EXPECT_EQ(allocator_statistics().bytes_kept, 0);
  EXPECT_EQ(allocator_statistics().bytes_in_use, start_.bytes_in_use);
}

TEST_F(CachingAllocator, ServesRawAllocations) {
  c10::Allocator* allocator = c10::GetCPUAllocator();
  ASSERT_NE(allocator->raw_deleter(), nullptr);
  void* data = allocator->raw_allocate(2 * large);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U);
  std::memset(data, 1, 2 * large);
  EXPECT_EQ(allocator_statistics().requests, start_.requests + 1);
  allocator->raw_deallocate(data);
  EXPECT_EQ(allocator_statistics().bytes_in_use, start_.bytes_in_use);
  void* again = allocator->raw_allocate(2 * large);
  EXPECT_EQ(again, data);
  allocator->raw_deallocate(again);
  allocator->raw_deallocate(nullptr);
}

TEST_F(CachingAllocator, CountsTheBlocksOfAllThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        const at::Tensor mine = at::full({large + 512 * (i % 7)}, t, at::kByte);
        ASSERT_TRUE(mine.eq(t).all().item<bool>());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const AllocatorStatistics now = allocator_statistics();
  EXPECT_EQ(now.bytes_in_use, start_.bytes_in_use);
  EXPECT_GE(now.requests - start_.requests, 4 * 200);
  EXPECT_GT(now.reused - start_.reused, 4 * 150);
}

TEST_F(CachingAllocator, ChangesNoResult) {
  const Graph graph = network({8, 32, 32}, 4, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d("conv", x, {.out_channels = 4, .padding = 1});
    return g.global_average_pool("pool", g.relu("relu", g.batch_norm("bn", y)));
  });
  const at::Tensor x = in_layout(normal({16, 8, 32, 32}, 1), true);
  const auto gradient = [&] {
    const auto model = make_model(graph, {});
    model->train(x, {}).square().sum().backward();
    return tensor_of(*model, "conv.weight").grad().clone();
  };
  const at::Tensor first = gradient();  // fresh blocks
  const std::int64_t reused = allocator_statistics().reused;
  EXPECT_TRUE(same_bits(gradient(), first));  // used blocks
  EXPECT_GT(allocator_statistics().reused, reused);
}

}  // namespace
}  // namespace qhost::test
