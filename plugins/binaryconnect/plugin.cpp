/// The plugin `binaryconnect`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(binaryconnect, "BinaryConnect: weights of -1 and +1 with real-valued latent weights",
             "Apache-2.0", "qhost") {
  registrar.add_quantizer(qhost::binaryconnect::method());
}
