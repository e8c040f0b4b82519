/// The plugin `lsq`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(lsq, "Learned Step Size Quantization of weights and inputs", "Apache-2.0", "qhost") {
  registrar.add_quantizer(qhost::lsq::method());
}
