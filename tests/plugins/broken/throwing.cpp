// Registers one component and then throws: the component must not remain.
#include <stdexcept>

#include "one_layer.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(throwing, "throws while registering", "Apache-2.0", "https://example.org/throwing") {
  registrar.add_architecture(one_layer("half_done"));
  throw std::runtime_error("the table of widths is missing");
}
