// The method `bwn`, through what its plugin registers.
#include <cmath>

#include "plugin_method.h"
#include "qhost/error.h"
#include "slots.h"

namespace qhost::bwn {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;

const QuantizerMethod& method() {
  return test::plugin_method("bwn");
}

std::unique_ptr<WeightQuantizer> slot_object(const SlotInfo& slot,
                                             const std::string& gradient = "algorithm1") {
  return make(method(), {{"gradient", gradient}})->weight(slot);
}

TEST(Bwn, WeightIsTheMeanMagnitudeTimesTheSignPlusOneAtBothZeros) {
  const SlotInfo slot = linear_weight_slot(3, 4);
  const at::Tensor w =
      values({-1, 2, 0.0F, -0.0F, /**/ 0, 0, 0, 0, /**/ -4, -4, -4, -8}).reshape({3, 4});
  const at::Tensor expected =
      values({-0.75F, 0.75F, 0.75F, 0.75F, /**/ 0, 0, 0, 0, /**/ -5, -5, -5, -5}).reshape({3, 4});
  for (const std::string gradient : {"algorithm1", "text", "exact"}) {
    EXPECT_TRUE(
        same_bits(slot_object(slot, gradient)->forward(context_of(slot, Mode::train), w), expected))
        << gradient;
  }
}

TEST(Bwn, ScaleIsTheCorrectlyRoundedMeanOfEachFilterInEveryLayout) {
  const SlotInfo slot = conv_weight_slot(24, 512);
  const at::Tensor w = spread(slot.shape, 0.05);
  const auto filter_scale = [&](const at::Tensor& weight) {
    return slot_object(slot)->encode(context_of(slot, Mode::evaluate), weight).scale;
  };
  const at::Tensor alpha = filter_scale(w);
  ASSERT_EQ(alpha.sizes(), at::IntArrayRef({24}));
  const float* data = w.const_data_ptr<float>();
  const std::int64_t n = 512 * 9;
  for (std::int64_t f = 0; f < 24; ++f) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::fabs(static_cast<double>(data[f * n + i]));
    EXPECT_EQ(alpha[f].item<float>(), static_cast<float>(sum / static_cast<double>(n)));
  }
  EXPECT_TRUE(same_bits(filter_scale(w.contiguous(at::MemoryFormat::ChannelsLast)), alpha));
}

TEST(Bwn, DecodedCodesEqualTheForwardToTheBit) {
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const SlotInfo slot = conv_weight_slot(16, 7);
    const auto weight = slot_object(slot);
    const at::Tensor w = spread(slot.shape, 1.7).contiguous(format);
    const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
    EXPECT_EQ(encoded.encoding, Encoding::binary(ScaleKind::channel));
    EXPECT_EQ(encoded.encoding, weight->encoding(slot));
    EXPECT_EQ(encoded.codes.scalar_type(), at::kByte);
    for (const Mode mode : {Mode::train, Mode::evaluate}) {
      const at::Tensor forward = weight->forward(context_of(slot, mode), w);
      EXPECT_TRUE(same_bits(decode(encoded), forward));
      EXPECT_EQ(forward.strides(), w.strides());
    }
  }
}

// One filter of four weights, on and outside of the bound of the mask.
struct Example {
  SlotInfo slot = linear_weight_slot(1, 4);
  at::Tensor w = values({1, -1, 1.5F, 0}).reshape({1, 4});  // alpha = 3.5/4
  at::Tensor g = values({8, 4, -2, 16}).reshape({1, 4});
  at::Tensor gradient(const std::string& kind) const {
    return latent_gradient(*slot_object(slot, kind), context_of(slot, Mode::train), w, g);
  }
};

TEST(Bwn, GradientOfAlgorithm1IsThatOfTheScaledWeights) {
  const Example e;
  EXPECT_TRUE(same_bits(e.gradient("algorithm1"), e.g));
}

TEST(Bwn, GradientOfTheTextMasksBeyondOneAndKeepsTheBound) {
  const Example e;
  // G * (1/4 + 7/8 * {1, 1, 0, 1})
  EXPECT_TRUE(same_bits(e.gradient("text"), values({9, 4.5, -0.5, 18}).reshape({1, 4})));
}

TEST(Bwn, ExactGradientAddsTheWholeFiltersShareThroughTheScale) {
  const Example e;
  // sum_j G_j sign_j = 8 - 4 - 2 + 16 = 18; sign * 18/4 + G * 7/8 * {1, 1, 0, 1}
  EXPECT_TRUE(same_bits(e.gradient("exact"),
                        values({4.5F + 7, -4.5F + 3.5F, 4.5F, 4.5F + 14}).reshape({1, 4})));
}

TEST(Bwn, ExactGradientIsTheDerivativeWhereTheSignIsConstant) {
  // Outside of the mask the estimator is 0, but W~ = mean|W| * sign is differentiable there.
  const SlotInfo slot = conv_weight_slot(3, 4);
  const at::Tensor w = at::where(spread(slot.shape, 1).ge(0), spread(slot.shape, 0.4, 2).add(2),
                                 spread(slot.shape, 0.4, 2).sub(2));
  const at::Tensor g = spread(slot.shape, 1, 3);
  const auto weight = slot_object(slot, "exact");
  const SlotContext context = context_of(slot, Mode::train);
  const at::Tensor gradient = latent_gradient(*weight, context, w, g);
  for (const std::int64_t i : {0, 17, 40, 107}) {
    at::Tensor up = w.clone(), down = w.clone();
    up.view(-1)[i] += 0.25;
    down.view(-1)[i] -= 0.25;
    const double difference =
        ((weight->forward(context, up) - weight->forward(context, down)).to(at::kDouble) * g)
            .sum()
            .item<double>() /
        0.5;
    EXPECT_NEAR(gradient.view(-1)[i].item<double>(), difference, 1e-5) << i;
  }
}

TEST(Bwn, EachFilterHasItsOwnScaleInTheGradients) {
  const SlotInfo slot = conv_weight_slot(5, 3);
  const at::Tensor w = spread(slot.shape, 1.5);
  const at::Tensor g = spread(slot.shape, 1, 9);
  for (const std::string kind : {"text", "exact"}) {
    const at::Tensor all =
        latent_gradient(*slot_object(slot, kind), context_of(slot, Mode::train), w, g);
    const at::Tensor nhwc = latent_gradient(*slot_object(slot, kind), context_of(slot, Mode::train),
                                            w.contiguous(at::MemoryFormat::ChannelsLast), g);
    EXPECT_TRUE(same_bits(nhwc, all)) << kind;
    for (std::int64_t f = 0; f < 5; ++f) {
      const SlotInfo one = conv_weight_slot(1, 3);
      EXPECT_TRUE(
          same_bits(latent_gradient(*slot_object(one, kind), context_of(one, Mode::train),
                                    w.slice(0, f, f + 1).clone(), g.slice(0, f, f + 1).clone()),
                    all.slice(0, f, f + 1)))
          << kind << ", filter " << f;
    }
  }
}

TEST(Bwn, KeepsTheFirstAndLastLayerInFloatByDefault) {
  const QuantizerMethod m = method();
  EXPECT_EQ(m.name, "bwn");
  EXPECT_EQ(m.keep_float, (std::vector<std::string>{"first", "last"}));
  EXPECT_EQ(m.roles, std::vector<Role>{Role::weight});
  EXPECT_THROW(make(m, {{"gradient", std::string("identity")}}), OptionError);
}

}  // namespace
}  // namespace qhost::bwn
