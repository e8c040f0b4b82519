/// model/caching_allocator.h: tensor memory that is freed is kept for the next tensor of its size.
///
/// A training step frees and allocates the same large buffers over and over. glibc maps and unmaps
/// them each time, and the kernel clears every page anew: 3 to 7 % of a ResNet-20 step on the CPU
/// (docs/performance.md). Its mallopt switches do not help: memalign of glibc 2.36 does not find
/// its own freed blocks again. This is what LibTorch itself does for GPU memory.
#pragma once

#include <cstdint>

namespace qhost {

struct AllocatorStatistics {
  std::int64_t bytes_in_use = 0;  ///< of large blocks, in their rounded sizes
  std::int64_t bytes_kept = 0;    ///< freed, waiting for reuse
  std::int64_t reused = 0;        ///< requests served from kept blocks
  std::int64_t requests = 0;      ///< for large blocks
};

/// Puts the allocator in the place of LibTorch's for CPU tensors, once per process; later calls do
/// nothing. Tensors made before stay valid. Blocks below 64 KiB go to malloc as before.
void use_caching_allocator();

AllocatorStatistics allocator_statistics();
/// Gives the kept blocks back to the system.
void release_kept_memory();

}  // namespace qhost
