/// The plugin `contract_weight`; the method is in weight.h.
#include "qhost/plugin.h"

#include "weight.h"

QHOST_PLUGIN(contract_weight, "A weight method that uses every part of the contract", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::contract::weight_method());
}
