// Built as twin_a and twin_b, which provide the same component.
#include "one_layer.h"
#include "qhost/plugin.h"

#define TWIN(name) \
  QHOST_PLUGIN(name, "claims the name twin", "Apache-2.0", "https://example.org/twin")

TWIN(TWIN_NAME) {
  registrar.add_architecture(one_layer("twin"));
}
