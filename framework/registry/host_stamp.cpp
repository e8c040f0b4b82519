// The stamp of this program, with which a plugin's stamp must agree.
#include "qhost/plugin.h"
#include "registry/stamp.h"

namespace qhost {

const Stamp& host_stamp() {
  static const Stamp stamp = parse_stamp(
      QHOST_STAMP("qhost", QHOST_VERSION, "architecture:none", QHOST_BUILD_TYPE, QHOST_VERSION));
  return stamp;
}

const char* host_guard_name() {
  return QHOST_TEXT(QHOST_GUARD);
}

}  // namespace qhost
