/// The plugin `bnn`; the method is in method.h.
#include "qhost/plugin.h"

#include "method.h"

QHOST_PLUGIN(bnn, "Binarized Neural Networks: weights and inputs of -1 and +1", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::bnn::method());
}
