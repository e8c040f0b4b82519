// The examples of qhost/quantizer.h and qhost/dense.h, as their headers have them.
#include <ATen/ops/relu.h>

#include "qhost/dense.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"
#include "qhost/ste.h"

namespace {

using namespace qhost;

class Sign : public qhost::WeightQuantizer {
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::binary(ScaleKind::none);
  }
  at::Tensor forward(const SlotContext&, const at::Tensor& w) override {
    return ste::sign_identity(w);
  }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot), .codes = ste::sign_codes(w)};
  }
};

class SignMethod : public qhost::Quantizer {
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<Sign>();
  }
};

[[maybe_unused]] at::Tensor relu(const at::Tensor& given) {
  if (!dense::is_plain(given)) return at::relu(given);
  const at::Tensor x = dense::without_gaps(given);
  at::Tensor y = dense::like(x, at::kFloat);
  const float* from = x.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  dense::loop(x, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      to[i] = dense::kept_if(from[i] > 0, from[i]);
  });
  return y;
}

}  // namespace

QHOST_PLUGIN(my_sign, "weights of -1 and +1", "Apache-2.0", "https://example.org/my_sign") {
  registrar.add_quantizer({.name = "my_sign",
                           .summary = "the sign of the weight, straight-through gradient",
                           .paper = "none",
                           .create = [](const Options&) -> std::unique_ptr<Quantizer> {
                             return std::make_unique<SignMethod>();
                           }});
}
