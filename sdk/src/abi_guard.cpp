// Which plugins this libqhost_core.so fits.
#include "qhost/plugin.h"

// Gate 1: a plugin built for another ABI number, LibTorch or string ABI names another symbol.
extern "C" {
QHOST_API extern const int QHOST_GUARD;
const int QHOST_GUARD = QHOST_ABI_VERSION;
}

namespace qhost {

// The key function: one type information for host and plugins.
Registrar::~Registrar() = default;

}  // namespace qhost
