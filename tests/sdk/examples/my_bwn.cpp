// The examples of qhost/stateless_quantizer.h and qhost/plugin.h, as their headers have
// them.
#include <ATen/ops/abs.h>

#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace {

using namespace qhost;

// BWN: W~ = alpha * sign(W), alpha = mean |W| of each filter; dC/dW = dC/dW~
class Bwn : public qhost::StatelessWeight {
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::binary(ScaleKind::channel);
  }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot),
            .codes = ste::sign_codes(w),
            .scale = ste::filter_mean(at::abs(w))};
  }
};

}  // namespace

QHOST_PLUGIN(my_bwn, "Binary-Weight-Network", "Apache-2.0", "https://example.org/my_bwn") {
  registrar.add_quantizer({.name = "my_bwn",
                           .summary = "binary weights times the mean |W| of their filter",
                           .paper = "arXiv 1603.05279",
                           .create = stateless<Bwn>});
}
