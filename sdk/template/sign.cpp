// The sign of every weight: w_b = -1 or +1, sign(0) = +1. The gradient passes as if there were no
// sign: dC/dw = dC/dw_b.
#include <ATen/core/Tensor.h>

#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace {

using namespace qhost;

class Sign : public StatelessWeight {
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }

  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot), .codes = ste::sign_codes(w)};
  }
};

}  // namespace

QHOST_PLUGIN(sign, "weights of -1 and +1", "Apache-2.0", "https://example.org/sign") {
  registrar.add_quantizer({.name = "sign",
                           .summary = "the sign of the weight, straight-through gradient",
                           .paper = "none",
                           .keep_float = {"first", "last"},
                           .create = stateless<Sign>});
}
