#include "qhost/parallel.h"

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>

#include "qhost/error.h"

namespace qhost {

void parallel_blocks(std::int64_t n, std::int64_t block,
                     const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (n < 0 || block < 1) {
    throw Error(ErrorKind::internal, "parallel_blocks of " + std::to_string(n) + " in blocks of " +
                                         std::to_string(block));
  }
  if (n == 0) return;
  if (n <= block || at::get_num_threads() == 1) {
    for (std::int64_t first = 0; first < n; first += block) body(first, std::min(n, first + block));
    return;
  }
  // The loops of TensorIterator are compiled into LibTorch with its OpenMP. They divide this tensor
  // into pieces; the address of a piece says which blocks to process.
  at::Tensor blocks = at::empty({(n + block - 1) / block}, at::kByte);
  const auto* start = static_cast<const char*>(blocks.const_data_ptr());
  auto pieces = at::TensorIterator::nullary_op(blocks);
  const auto loop = [&](char** data, const std::int64_t*, std::int64_t count, std::int64_t) {
    for (std::int64_t b = data[0] - start; count > 0; ++b, --count) {
      body(b * block, std::min(n, (b + 1) * block));
    }
  };
  // A one-dimensional tensor is divided into rows of one piece: the fourth argument is 1.
  pieces.for_each(at::TensorIteratorBase::loop2d_t(loop), /*grain_size=*/1);
}

}  // namespace qhost
