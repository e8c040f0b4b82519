#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(registers_less, "declares what it does not register", "Apache-2.0",
             "https://example.org/less") {
  registrar.add_architecture(one_layer("present"));
}
