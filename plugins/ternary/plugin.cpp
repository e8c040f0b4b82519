/// The plugin `ternary`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(ternary, "Ternary Weight Networks: weights of -alpha, 0 and +alpha", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::ternary::method());
}
