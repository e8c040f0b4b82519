#include "runtime/kernels.h"

namespace qhost::runtime {

const Kernels* avx2_kernels() {
  return nullptr;
}

}  // namespace qhost::runtime
