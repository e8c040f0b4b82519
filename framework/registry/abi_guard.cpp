// What only this file knows: which plugins this libqhost_core.so fits.
#include "qhost/plugin.h"

#include "registry/stamp.h"

// Gate 1: a plugin built for another ABI number, LibTorch or string ABI names another symbol.
extern "C" {
QHOST_API extern const int QHOST_GUARD;
const int QHOST_GUARD = QHOST_ABI_VERSION;
}

namespace qhost {

// The key function: one type information for host and plugins.
Registrar::~Registrar() = default;

const Stamp& host_stamp() {
  static const Stamp stamp = parse_stamp(
      QHOST_STAMP("qhost", QHOST_VERSION, "architecture:none", QHOST_BUILD_TYPE, QHOST_VERSION));
  return stamp;
}

const char* host_guard_name() {
  return QHOST_TEXT(QHOST_GUARD);
}

}  // namespace qhost
