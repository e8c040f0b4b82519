/// runtime/isa.h: the kernels of this CPU.
#pragma once

#include <string>
#include <vector>

#include "runtime/kernels.h"

namespace qhost::runtime {

/// Those that this build has and this CPU runs, the fastest last; "portable" is always there.
std::vector<const Kernels*> usable_kernels();

/// The fastest, or the one that the environment variable QHOST_RUNTIME_ISA names. Throws Error
/// (configuration) for a name that is unknown or that this CPU cannot run, with the usable ones.
const Kernels& chosen_kernels();

}  // namespace qhost::runtime
