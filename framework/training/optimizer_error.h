/// training/optimizer_error.h: what the optimizers' internal errors have in common. Private to
/// training/.
#pragma once

#include <sstream>
#include <string>

namespace qhost::training {

inline constexpr const char* optimizer_defect =
    "this is a defect of qhost or of a plugin, not of the experiment; please report it";

/// What LibTorch prints of sizes, strides and types.
template <class T>
std::string streamed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace qhost::training
