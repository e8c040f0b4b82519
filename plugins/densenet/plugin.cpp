/// The plugin `densenet`; the architecture is in densenet.h.
#include "qhost/plugin.h"

#include "densenet.h"

QHOST_PLUGIN(densenet, "Densely connected networks", "Apache-2.0", "qhost") {
  registrar.add_architecture(qhost::densenet::architecture());
}
