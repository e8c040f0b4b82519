// The sign of every weight, -1 or +1; the gradient passes as if there were no sign.
#include <ATen/core/Tensor.h>
#include <ATen/ops/ge.h>

#include "qhost/plugin.h"
#include "qhost/quantizer.h"

namespace {

using namespace qhost;

class Sign : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }

  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor rest = latent.detach();
    return latent.sub(rest).add(decode(encode(context, rest)));
  }

  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    return {.encoding = encoding(*context.slot), .codes = at::ge(latent, 0).to(at::kByte)};
  }
};

class SignMethod : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<Sign>();
  }
};

}  // namespace

QHOST_PLUGIN(sign, "weights of -1 and +1", "Apache-2.0", "https://example.org/sign") {
  registrar.add_quantizer(
      {.name = "sign",
       .summary = "the sign of the weight, straight-through gradient",
       .paper = "none",
       .keep_float = {"first", "last"},
       .create = [](const Options&) { return std::make_unique<SignMethod>(); }});
}
