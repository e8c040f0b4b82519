#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(throws_number, "throws an int", "Apache-2.0", "https://example.org/number") {
  registrar.add_architecture(one_layer("numbered"));
  throw 42;
}
