/// The plugin `uneven`: two methods whose encodings no shipped method has, made of the SDK alone.
///
///     three_levels   a codebook of three levels that are no whole numbers, for weights and inputs
///     shifted        whole levels with a zero point of its own in every channel, odd ones too
#include <ATen/ATen.h>

#include "qhost/plugin.h"
#include "qhost/quantizer.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace qhost::uneven {
namespace {

at::Tensor table(float low, float middle, float high) {
  at::Tensor levels = at::empty({3}, at::kFloat);
  levels[0] = low;
  levels[1] = middle;
  levels[2] = high;
  return levels;
}

/// The number of bounds that x reaches.
at::Tensor codes_between(const at::Tensor& x, double first, double second) {
  return at::ge(x, first).to(at::kByte).add(at::ge(x, second).to(at::kByte));
}

/// alpha times -1.25, 0.2 or 1.5, alpha the mean |W| of the filter.
class ThreeLevelWeight : public StatelessWeight {
 public:
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::codebook(3, ScaleKind::channel, /*per_channel=*/false);
  }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    const at::Tensor alpha = ste::filter_mean(at::abs(w)).add(1e-6);
    return {.encoding = encoding(*context.slot),
            .codes = codes_between(w.div(ste::along(alpha, w)), -0.5, 0.75),
            .scale = alpha,
            .table = table(-1.25F, 0.2F, 1.5F)};
  }
};

/// -0.75, 0.125 or 1.
class ThreeLevelInput : public InputQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::codebook(3, ScaleKind::none, /*per_channel=*/false);
  }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = ste::straight_through(x, decode(encode(context, x.detach()).codes, 1))};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return {.codes = {.encoding = encoding(*context.slot),
                      .codes = codes_between(x, -0.25, 0.5),
                      .table = table(-0.75F, 0.125F, 1)}};
  }
};

class ThreeLevels : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<ThreeLevelWeight>();
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo&) override {
    return std::make_unique<ThreeLevelInput>();
  }
};

/// Half steps: 5, 6, 7, ... 12, and again.
at::Tensor zero_points(std::int64_t channels) {
  return at::arange(channels, at::kInt).remainder(8).add(5);
}

/// 16 levels around the zero point of each channel.
at::Tensor shifted_codes(const at::Tensor& steps, const at::Tensor& zero) {
  return at::clamp(at::round(steps.add(zero.to(at::kFloat).div(2))), 0, 15).to(at::kByte);
}

class ShiftedWeight : public StatelessWeight {
 public:
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::uniform(4, ScaleKind::channel, ZeroPointKind::channel);
  }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    const at::Tensor scale = ste::filter_mean(at::abs(w)).div(3).add(1e-6);
    const at::Tensor zero = zero_points(w.size(0));
    return {.encoding = encoding(*context.slot),
            .codes = shifted_codes(w.div(ste::along(scale, w)), ste::along(zero, w)),
            .scale = scale,
            .zero_point = zero};
  }
};

class ShiftedInput : public InputQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::channel);
  }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = ste::straight_through(x, decode(encode(context, x.detach()).codes, 1))};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    const at::Tensor zero = zero_points(x.size(1));
    return {.codes = {.encoding = encoding(*context.slot),
                      .codes = shifted_codes(x.div(0.25), ste::along(zero, x, 1)),
                      .scale = at::full({}, 0.25, at::kFloat),
                      .zero_point = zero}};
  }
};

class Shifted : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<ShiftedWeight>();
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
    return std::make_unique<ShiftedInput>();
  }
};

}  // namespace
}  // namespace qhost::uneven

QHOST_PLUGIN(uneven, "Encodings that no shipped method has", "Apache-2.0", "qhost") {
  using namespace qhost;
  registrar.add_quantizer({.name = "three_levels",
                           .summary = "weights and inputs of three levels",
                           .paper = "none",
                           .roles = {Role::weight, Role::input},
                           .create = [](const Options&) -> std::unique_ptr<Quantizer> {
                             return std::make_unique<uneven::ThreeLevels>();
                           }});
  registrar.add_quantizer({.name = "shifted",
                           .summary = "16 levels with a zero point in each channel",
                           .paper = "none",
                           .roles = {Role::weight, Role::input},
                           .create = [](const Options&) -> std::unique_ptr<Quantizer> {
                             return std::make_unique<uneven::Shifted>();
                           }});
}
