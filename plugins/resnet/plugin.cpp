/// The plugin `resnet`; the architecture is in resnet.h.
#include "qhost/plugin.h"

#include "resnet.h"

QHOST_PLUGIN(resnet, "Residual networks for small images", "Apache-2.0", "qhost") {
  registrar.add_architecture(qhost::resnet::architecture());
}
