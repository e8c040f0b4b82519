// Registers a name twice and hides the exception.
#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(swallows, "hides an error", "Apache-2.0", "https://example.org/swallows") {
  registrar.add_architecture(one_layer("swallowed"));
  try {
    registrar.add_architecture(one_layer("swallowed"));
  } catch (...) {
  }
}
