#include "plugins/ptq/codebook.h"

#include <cmath>
#include <limits>

#include "ptq_golden.h"

namespace qhost::ptq {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;
using testing::HasSubstr;

std::unique_ptr<WeightQuantizer> slot_object(const SlotInfo& slot, const Given& given) {
  return make(codebook_method(), given)->weight(slot);
}

TEST(PtqCodebook, TablesAreLloydsToTheBit) {
  const json document = golden("codebook");
  const at::Tensor w = made(document["weight"]);
  const SlotInfo slot = conv_weight_slot(w.size(0), w.size(1));
  for (const json& which : document["cases"]) {
    const auto weight =
        slot_object(slot, {{"bits", which["bits"].get<std::int64_t>()},
                           {"start", which["start"].get<std::string>()},
                           {"scope", which["scope"].get<std::string>()},
                           {"iterations", which["iterations"].get<std::int64_t>()}});
    const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
    EXPECT_TRUE(same_bits(encoded.table.reshape({-1}), floats(which["table"]))) << which;
  }
}

TEST(PtqCodebook, EachWeightGetsTheNearestEntryAndTheLowerOfTwo) {
  const SlotInfo slot = linear_weight_slot(1, 5);
  // Linear centers without iterations: 0 and 8.
  const at::Tensor w = values({0, 3.9F, 4, 4.1F, 8}).reshape({1, 5});
  const auto weight =
      slot_object(slot, {{"bits", std::int64_t{1}}, {"iterations", std::int64_t{0}}});
  EXPECT_TRUE(same_bits(decode(weight->encode(context_of(slot, Mode::evaluate), w)),
                        values({0, 0, 0, 8, 8}).reshape({1, 5})));
}

TEST(PtqCodebook, EvaluationForwardsWhatEncodeStoresInEveryLayout) {
  for (const std::int64_t bits : {1, 4, 8}) {
    for (const std::string scope : {"layer", "channel"}) {
      const SlotInfo slot = conv_weight_slot(5, 40);
      const at::Tensor w = spread(slot.shape, 0.3);
      const at::Tensor nhwc = w.contiguous(at::MemoryFormat::ChannelsLast);
      const auto weight =
          slot_object(slot, {{"bits", bits}, {"scope", scope}, {"start", std::string("density")}});
      const SlotContext context = context_of(slot, Mode::evaluate);
      const Encoded encoded = weight->encode(context, w);
      EXPECT_EQ(encoded.encoding, weight->encoding(slot));
      EXPECT_EQ(encoded.encoding, Encoding::codebook(1 << static_cast<int>(bits), ScaleKind::none,
                                                     scope == "channel"));
      EXPECT_EQ(why_invalid(encoded.encoding), "");
      EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context, w)));
      EXPECT_TRUE(same_bits(decode(weight->encode(context, nhwc)), decode(encoded)));
      EXPECT_TRUE(same_bits(w, spread(slot.shape, 0.3)));
      const at::Tensor uses = at::bincount(encoded.codes.reshape({-1}).to(at::kLong));
      EXPECT_EQ(uses.numel(), 1 << bits) << scope;
      EXPECT_GT(uses.min().item<std::int64_t>(), 0) << bits << scope;
    }
  }
}

TEST(PtqCodebook, IterationsLowerTheError) {
  const SlotInfo slot = conv_weight_slot(8, 16);
  const at::Tensor w = spread(slot.shape, 1).pow(3);
  const auto error = [&](std::int64_t iterations) {
    const auto weight = slot_object(slot, {{"bits", std::int64_t{3}}, {"iterations", iterations}});
    const at::Tensor stored = decode(weight->encode(context_of(slot, Mode::evaluate), w));
    return (stored - w).square().sum().item<double>();
  };
  EXPECT_LT(error(1), error(0));
  EXPECT_LT(error(100), 0.6 * error(0));
}

TEST(PtqCodebook, AConstantWeightIsExact) {
  const SlotInfo slot = linear_weight_slot(2, 3);
  const at::Tensor w = at::full({2, 3}, 0.1F, at::kFloat);
  EXPECT_TRUE(
      same_bits(decode(slot_object(slot, {})->encode(context_of(slot, Mode::evaluate), w)), w));
}

TEST(PtqCodebook, TrainsInFloatUnlessToldOtherwise) {
  const SlotInfo slot = linear_weight_slot(1, 40);
  const at::Tensor w = spread(slot.shape, 1);
  const SlotContext context = context_of(slot, Mode::train);
  EXPECT_TRUE(same_bits(slot_object(slot, {})->forward(context, w), w));
  const auto trained = slot_object(slot, {{"training", std::string("quantized")}});
  EXPECT_TRUE(same_bits(trained->forward(context, w),
                        decode(trained->encode(context_of(slot, Mode::evaluate), w))));
  EXPECT_FALSE(same_bits(trained->forward(context, w), w));
  const at::Tensor g = spread(slot.shape, 1, 9);
  EXPECT_TRUE(same_bits(latent_gradient(*trained, context, w, g), g));
}

TEST(PtqCodebook, TrainingGoesOnWithWeightsThatAreNotFinite) {
  const SlotInfo slot = conv_weight_slot(2, 2);
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const at::Tensor w = spread(slot.shape, 1);
    w[0][0][0][0] = value;
    for (const std::string scope : {"layer", "channel"}) {
      const auto weight =
          slot_object(slot, {{"training", std::string("quantized")}, {"scope", scope}});
      const at::Tensor forward = weight->forward(context_of(slot, Mode::train), w);
      EXPECT_EQ(forward.sizes(), w.sizes());
      EXPECT_FALSE(at::isfinite(forward).all().item<bool>()) << "so that the loss says so";
    }
  }
  EXPECT_THROW(make(codebook_method(), {{"bits", std::int64_t{0}}}), OptionError);
}

}  // namespace
}  // namespace qhost::ptq
