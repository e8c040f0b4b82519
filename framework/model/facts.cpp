#include "model/facts.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

namespace qhost {

std::string torch_version() {
  return TORCH_VERSION;
}
std::string cpu_capability() {
  return at::get_cpu_capability();
}
int default_threads() {
  return at::get_num_threads();
}

}  // namespace qhost
