// Another correct plugin, with two components.
#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(second, "two architectures", "Apache-2.0", "https://example.org/second") {
  registrar.add_architecture(one_layer("second_a", "the first of second"));
  registrar.add_architecture(one_layer("second_b", "the second of second"));
}
