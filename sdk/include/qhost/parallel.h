/// qhost/parallel.h: LibTorch's threads for loops that a plugin writes itself.
#pragma once

#include <cstdint>
#include <functional>

#include "qhost/export.h"

namespace qhost {

/// Calls body(first, last) for 0 .. n-1 in blocks of `block` (the last one may be shorter), shared
/// among the threads of at::get_num_threads(). The blocks are the same however many threads there
/// are: a sum kept per block and added in the blocks' order has the same bits each time.
///
/// at::parallel_for is no replacement: LibTorch's headers make it a serial loop in what is compiled
/// without -fopenmp, and -fopenmp brings a second OpenMP runtime into the process.
///
/// body runs at the same time on several threads and must not call operations of LibTorch that
/// record gradients. An exception that leaves it reaches the caller. n < 0 or block < 1 is an
/// Error(internal).
QHOST_API void parallel_blocks(std::int64_t n, std::int64_t block,
                               const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace qhost
