/// The plugin `wideresnet`; the architecture is in wideresnet.h.
#include "qhost/plugin.h"

#include "wideresnet.h"

QHOST_PLUGIN(wideresnet, "Wide residual networks", "Apache-2.0", "qhost") {
  registrar.add_architecture(qhost::wideresnet::architecture());
}
