/// The plugin `bwn`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(bwn, "Binary-Weight-Network: binary weights with a scale per filter", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::bwn::method());
}
