#include "runtime/kernels.h"

namespace qhost::runtime {

const Kernels* avx512_kernels() {
  return nullptr;
}

}  // namespace qhost::runtime
