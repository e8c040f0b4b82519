#include "runtime/isa.h"

#include <cstdlib>
#include <string_view>

#include "qhost/error.h"

namespace qhost::runtime {
namespace {

bool runs_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool runs_avx512() {
#if defined(__x86_64__)
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
#else
  return false;
#endif
}

}  // namespace

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable = {&portable_kernels()};
  if (const Kernels* avx2 = avx2_kernels(); avx2 != nullptr && runs_avx2()) {
    usable.push_back(avx2);
  }
  if (const Kernels* avx512 = avx512_kernels(); avx512 != nullptr && runs_avx512()) {
    usable.push_back(avx512);
  }
  return usable;
}

const Kernels& chosen_kernels() {
  const std::vector<const Kernels*> usable = usable_kernels();
  const char* wanted = std::getenv("QHOST_RUNTIME_ISA");
  if (wanted == nullptr || *wanted == 0) return *usable.back();
  std::string names;
  for (const Kernels* each : usable) {
    if (std::string_view(wanted) == each->name) return *each;
    names += (names.empty() ? "" : ", ") + std::string(each->name);
  }
  throw Error(ErrorKind::configuration,
              "QHOST_RUNTIME_ISA = `" + std::string(wanted) + "` names no kernels of this CPU",
              "it is one of " + names + ", or not set: the fastest");
}

}  // namespace qhost::runtime
