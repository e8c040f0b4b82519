// Linked without -z defs, so that the missing symbol is found only while loading.
#include "one_layer.h"
#include "qhost/plugin.h"

namespace elsewhere {
int widths(int depth);
}

QHOST_PLUGIN(missing_symbol, "needs a symbol that nobody has", "Apache-2.0",
             "https://example.org/missing") {
  registrar.add_architecture(one_layer("w" + std::to_string(elsewhere::widths(20))));
}
