/// The plugin `vgg`; the architecture is in vgg.h.
#include "qhost/plugin.h"

#include "vgg.h"

QHOST_PLUGIN(vgg, "The plain networks of binary methods", "Apache-2.0", "qhost") {
  registrar.add_architecture(qhost::vgg::architecture());
}
