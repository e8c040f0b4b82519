// The symbols that decide which plugins fit this libqhost_core.so.
#include "qhost/plugin.h"

// Gate 1: a plugin for another ABI number, LibTorch or string ABI refers to another symbol.
extern "C" {
QHOST_API extern const int QHOST_GUARD;
const int QHOST_GUARD = QHOST_ABI_VERSION;
}

namespace qhost {

// The key function, which gives host and plugins the same type information.
Registrar::~Registrar() = default;

}  // namespace qhost
