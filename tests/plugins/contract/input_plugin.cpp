/// The plugin `contract_input`; the method is in input.h.
#include "qhost/plugin.h"

#include "input.h"

QHOST_PLUGIN(contract_input, "An input method that uses every part of the contract", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer(qhost::contract::input_method());
}
