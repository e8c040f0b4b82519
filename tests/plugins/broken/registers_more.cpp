#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(registers_more, "registers what it does not declare", "Apache-2.0",
             "https://example.org/more") {
  registrar.add_architecture(one_layer("declared"));
  registrar.add_architecture(one_layer("smuggled"));
}
