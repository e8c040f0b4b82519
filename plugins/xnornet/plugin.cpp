/// The plugin `xnornet`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(xnornet, "XNOR-Net: binary weights and binary inputs", "Apache-2.0", "qhost") {
  registrar.add_quantizer(qhost::xnornet::method());
}
