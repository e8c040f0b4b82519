/// The plugin `dorefa`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(dorefa, "DoReFa-Net: weights and inputs of few bits", "Apache-2.0", "qhost") {
  registrar.add_quantizer(qhost::dorefa::method());
}
