#include "model/caching_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace qhost {
namespace {

constexpr std::size_t large = 64 << 10;
constexpr std::size_t huge_page = 2 << 20;
constexpr std::size_t header = 64;  // keeps the data on a cache line; holds the block's size
/// Freed beyond this goes back to the system at once.
constexpr std::size_t most_kept = std::size_t{6} << 30;

/// Up to an eighth more than asked for, so that batches of nearly equal size share blocks.
std::size_t rounded(std::size_t bytes) {
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &give_back, c10::Device(c10::kCPU)};
    void* data =
        bytes + header < large ? make(bytes + header, header) : take(rounded(bytes + header));
    return {data, data, &give_back, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void* destination, const void* source, std::size_t count) const override {
    std::memcpy(destination, source, count);
  }

  AllocatorStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : kept_) {
      for (void* block : blocks) std::free(block);
    }
    kept_.clear();
    statistics_.bytes_kept = 0;
  }

 private:
  static void give_back(void* data);

  void* take(std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      ++statistics_.requests;
      statistics_.bytes_in_use += static_cast<std::int64_t>(size);
      const auto found = kept_.find(size);
      if (found != kept_.end() && !found->second.empty()) {
        void* block = found->second.back();
        found->second.pop_back();
        statistics_.bytes_kept -= static_cast<std::int64_t>(size);
        ++statistics_.reused;
        return static_cast<char*>(block) + header;
      }
    }
    return make(size, size >= huge_page ? huge_page : header);
  }

  /// A new block of `size` bytes with its size in front; the address behind the header.
  void* make(std::size_t size, std::size_t alignment) {
    void* block = nullptr;
    if (posix_memalign(&block, alignment, size) != 0) {
      release();  // what is kept in other sizes may make room
      TORCH_CHECK(posix_memalign(&block, alignment, size) == 0, "out of memory: a tensor of ", size,
                  " bytes could not be allocated");
    }
#ifdef MADV_HUGEPAGE
    if (size >= huge_page) madvise(block, size, MADV_HUGEPAGE);
#endif
    *static_cast<std::size_t*>(block) = size;
    return static_cast<char*>(block) + header;
  }

  void put(void* data) {
    if (data == nullptr) return;
    void* block = static_cast<char*>(data) - header;
    const std::size_t size = *static_cast<std::size_t*>(block);
    if (size < large) {
      std::free(block);
      return;
    }
    const std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= static_cast<std::int64_t>(size);
    if (static_cast<std::size_t>(statistics_.bytes_kept) + size > most_kept) {
      std::free(block);
      return;
    }
    kept_[size].push_back(block);
    statistics_.bytes_kept += static_cast<std::int64_t>(size);
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> kept_;
  AllocatorStatistics statistics_;
};

/// Never destroyed: tensors of static objects may outlive everything.
CachingAllocator& allocator() {
  static auto* instance = new CachingAllocator;
  return *instance;
}

void CachingAllocator::give_back(void* data) {
  allocator().put(data);
}

}  // namespace

void use_caching_allocator() {
  static const bool done = [] {
    c10::SetCPUAllocator(&allocator(), /*priority=*/1);
    return true;
  }();
  static_cast<void>(done);
}

AllocatorStatistics allocator_statistics() {
  return allocator().statistics();
}
void release_kept_memory() {
  allocator().release();
}

}  // namespace qhost
