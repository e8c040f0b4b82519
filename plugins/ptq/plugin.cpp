/// The plugin `ptq`: four methods, because their options have nothing in common.
#include "qhost/plugin.h"

#include "codebook.h"
#include "fixed_point.h"
#include "half.h"
#include "static.h"

QHOST_PLUGIN(ptq, "Quantization of trained networks: half, fixed point, codebook, static",
             "Apache-2.0", "qhost") {
  registrar.add_quantizer(qhost::ptq::half_method());
  registrar.add_quantizer(qhost::ptq::fixed_point_method());
  registrar.add_quantizer(qhost::ptq::codebook_method());
  registrar.add_quantizer(qhost::ptq::static_method());
}
