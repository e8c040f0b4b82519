/// model/facts.h: what the LibTorch in use says of itself, for callers that do not include it.
#pragma once

#include <string>

namespace qhost {

std::string torch_version();   ///< "2.15.0"
std::string cpu_capability();  ///< "AVX512": the kernels that ATen chose
int default_threads();

}  // namespace qhost
