/// The plugin `uniform`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(uniform, "Uniform weights or inputs whose range follows the values", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::uniform::method());
}
