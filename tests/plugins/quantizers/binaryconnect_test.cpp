// The method `binaryconnect`, through what its plugin registers.
#include <cmath>

#include "plugin_method.h"
#include "qhost/error.h"
#include "slots.h"

namespace qhost::binaryconnect {
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
  return test::plugin_method("binaryconnect");
}

std::unique_ptr<WeightQuantizer> slot_object(const SlotInfo& slot,
                                             const std::map<std::string, OptionValue>& given) {
  return make(method(), given)->weight(slot);
}

const std::map<std::string, OptionValue> stochastic = {{"mode", std::string("stochastic")}};

TEST(BinaryConnect, DeterministicSignIsPlusOneAtBothZeros) {
  const SlotInfo slot = linear_weight_slot(1, 7);
  const auto weight = slot_object(slot, {});
  const at::Tensor w = values({-2, -1, -1e-30F, -0.0F, 0.0F, 1e-30F, 3}).reshape({1, 7});
  const at::Tensor expected = values({-1, -1, -1, 1, 1, 1, 1}).reshape({1, 7});
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train), w), expected));
  EXPECT_TRUE(same_bits(decode(weight->encode(context_of(slot, Mode::evaluate), w)), expected));
}

TEST(BinaryConnect, GradientPassesUnchangedAlsoOutsideTheUnitInterval) {
  const SlotInfo slot = linear_weight_slot(1, 5);
  const at::Tensor w = values({-3, -1, 0, 1, 1.5}).reshape({1, 5});
  const at::Tensor g = values({0.1F, -2, 3, 4, 5}).reshape({1, 5});
  for (const auto& given : {std::map<std::string, OptionValue>{}, stochastic}) {
    const auto weight = slot_object(slot, given);
    EXPECT_TRUE(same_bits(latent_gradient(*weight, context_of(slot, Mode::train), w, g), g));
  }
}

TEST(BinaryConnect, AfterStepClipsToTheClosedUnitInterval) {
  const SlotInfo slot = linear_weight_slot(1, 5);
  at::Tensor w = values({-3, -1, 0.25F, 1, 1.5}).reshape({1, 5});
  slot_object(slot, {})->after_step(context_of(slot, Mode::train), w);
  EXPECT_TRUE(same_bits(w, values({-1, -1, 0.25F, 1, 1}).reshape({1, 5})));
}

TEST(BinaryConnect, StochasticDrawIsTheKeyedUniformBelowTheHardSigmoid) {
  const SlotInfo slot = conv_weight_slot(8, 5);
  const auto weight = slot_object(slot, stochastic);
  const at::Tensor w = spread(slot.shape, 1.3);
  const SlotContext context = context_of(slot, Mode::train, 17);
  const at::Tensor drawn = weight->forward(context, w);

  Random random = context.random("sign");
  const float* latent = w.const_data_ptr<float>();
  const float* got = drawn.const_data_ptr<float>();
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    const float p = std::fmin(1.0F, std::fmax(0.0F, (latent[i] + 1) / 2));
    ASSERT_EQ(got[i], random.uniform() < p ? 1.0F : -1.0F) << "weight " << i;
  }
}

TEST(BinaryConnect, StochasticDrawDependsOnStepAndNodeButNotOnLayout) {
  const SlotInfo slot = conv_weight_slot(8, 4);
  const auto weight = slot_object(slot, stochastic);
  const at::Tensor w = spread(slot.shape, 0.2);
  const at::Tensor at_0 = weight->forward(context_of(slot, Mode::train, 0), w);
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train, 0), w), at_0));
  EXPECT_FALSE(same_bits(weight->forward(context_of(slot, Mode::train, 1), w), at_0));
  SlotInfo other = slot;
  other.node = "stage2.conv";
  EXPECT_FALSE(same_bits(weight->forward(context_of(other, Mode::train, 0), w), at_0));

  const at::Tensor nhwc = w.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor drawn = weight->forward(context_of(slot, Mode::train, 0), nhwc);
  EXPECT_TRUE(same_bits(drawn, at_0));
  EXPECT_EQ(drawn.strides(), nhwc.strides());
}

TEST(BinaryConnect, StochasticDrawHasTheHardSigmoidsMean) {
  const SlotInfo slot = linear_weight_slot(4, 20000);
  const auto weight = slot_object(slot, stochastic);
  const at::Tensor w = values({-1.5, -0.5, 0.25, 1}).reshape({4, 1}).expand({4, 20000});
  const at::Tensor mean =
      weight->forward(context_of(slot, Mode::train), w.contiguous()).mean(at::IntArrayRef{1});
  // E = 2p - 1; five standard deviations of a mean of 20000 signs are at most 0.036.
  EXPECT_EQ(mean[0].item<float>(), -1.0F);
  EXPECT_NEAR(mean[1].item<float>(), -0.5, 0.036);
  EXPECT_NEAR(mean[2].item<float>(), 0.25, 0.036);
  EXPECT_EQ(mean[3].item<float>(), 1.0F);
}

TEST(BinaryConnect, LearningRateMultipliersFollowTheAuthorsCode) {
  const SlotInfo conv = conv_weight_slot(32, 16);
  const double c = std::sqrt(1.5 / (3 * 3 * 16 + 3 * 3 * 32));
  const auto multiplier = [](const SlotInfo& slot, const std::string& scale) {
    return slot_object(slot, {{"lr_scale", scale}})->latent_traits(slot).learning_rate_multiplier;
  };
  EXPECT_DOUBLE_EQ(multiplier(conv, "none"), 1);
  EXPECT_DOUBLE_EQ(multiplier(conv, "glorot"), 1 / c);
  EXPECT_DOUBLE_EQ(multiplier(conv, "glorot_squared"), 1 / (c * c));
  const double dense = std::sqrt(1.5 / (1024 + 10));
  EXPECT_DOUBLE_EQ(multiplier(linear_weight_slot(10, 1024), "glorot"), 1 / dense);
  EXPECT_FALSE(slot_object(conv, {})->latent_traits(conv).weight_decay.has_value());
}

TEST(BinaryConnect, StartIsThePapersWhenTheLearningRateIsScaledElseTheArchitectures) {
  const SlotInfo slot = conv_weight_slot(16, 16);
  const SlotContext context = context_of(slot, Mode::train);
  const auto started = [&](const std::map<std::string, OptionValue>& given) {
    at::Tensor w = at::full(slot.shape, 0.01F, at::kFloat)
                       .contiguous(at::MemoryFormat::ChannelsLast)
                       .set_requires_grad(true);
    slot_object(slot, given)->initialize(context, w);
    EXPECT_TRUE(w.is_contiguous(at::MemoryFormat::ChannelsLast));
    return w.detach();
  };
  const at::Tensor untouched = at::full(slot.shape, 0.01F, at::kFloat);
  const at::Tensor paper = uniform_like(context.random("initialise"), untouched).mul(2).sub(1);
  const std::string scale = "glorot";
  EXPECT_TRUE(same_bits(started({}), untouched));
  EXPECT_TRUE(same_bits(started({{"lr_scale", scale}}), paper));
  EXPECT_TRUE(same_bits(started({{"init", std::string("paper")}}), paper));
  EXPECT_TRUE(
      same_bits(started({{"lr_scale", scale}, {"init", std::string("architecture")}}), untouched));
  EXPECT_LT(paper.min().item<float>(), -0.99);
  EXPECT_GT(paper.max().item<float>(), 0.99);
}

TEST(BinaryConnect, TestWeightsFollowTheModeUnlessTheyAreChosen) {
  const SlotInfo slot = conv_weight_slot(4, 4);
  const auto encoding = [&](const std::string& mode, const std::string& test) {
    return slot_object(slot, {{"mode", mode}, {"test_weights", test}})->encoding(slot);
  };
  const Encoding binary = Encoding::binary(ScaleKind::none);
  EXPECT_EQ(encoding("deterministic", "auto"), binary);
  EXPECT_EQ(encoding("stochastic", "auto"), Encoding::float32());
  EXPECT_EQ(encoding("stochastic", "binary"), binary);
  EXPECT_EQ(encoding("deterministic", "real"), Encoding::float32());
  EXPECT_EQ(encoding("stochastic", "ensemble").ensemble_size, 8);
  EXPECT_EQ(encoding("stochastic", "ensemble").bits_per_weight(), 8);
  EXPECT_EQ(binary.sign_of_zero, 1);
}

TEST(BinaryConnect, EvaluationForwardsWhatEncodeStores) {
  const SlotInfo slot = conv_weight_slot(6, 5);
  const at::Tensor w = spread(slot.shape, 1.1).contiguous(at::MemoryFormat::ChannelsLast);
  const SlotContext context = context_of(slot, Mode::evaluate, 40);
  for (const std::string test : {"binary", "real"}) {
    const auto weight = slot_object(slot, {{"test_weights", test}});
    const Encoded encoded = weight->encode(context, w);
    EXPECT_EQ(encoded.encoding, weight->encoding(slot));
    EXPECT_FALSE(encoded.scale.defined());
    EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context, w))) << test;
  }
}

TEST(BinaryConnect, RealTestWeightsAreNoAliasOfTheLatentOnes) {
  const SlotInfo slot = conv_weight_slot(2, 2);
  const at::Tensor w = spread(slot.shape, 1);
  const Encoded encoded = slot_object(slot, {{"test_weights", std::string("real")}})
                              ->encode(context_of(slot, Mode::evaluate), w);
  const at::Tensor before = w.clone();
  w.fill_(9);
  EXPECT_TRUE(same_bits(encoded.codes, before));
}

TEST(BinaryConnect, EnsembleStoresOneNetworkPerMemberAndRepeats) {
  const SlotInfo slot = conv_weight_slot(6, 5);
  const std::map<std::string, OptionValue> given = {{"mode", std::string("stochastic")},
                                                    {"test_weights", std::string("ensemble")},
                                                    {"samples", std::int64_t{3}}};
  const auto quantizer = make(method(), given);
  EXPECT_EQ(quantizer->traits().ensemble_size, 3);
  const auto weight = quantizer->weight(slot);
  const at::Tensor w = spread(slot.shape, 0.9).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor stored = decode(weight->encode(context_of(slot, Mode::evaluate, 1), w));
  ASSERT_EQ(stored.sizes(), at::IntArrayRef({3, 6, 5, 3, 3}));
  for (int member = 0; member < 3; ++member) {
    SlotContext context = context_of(slot, Mode::evaluate, 70);
    context.member = member;
    EXPECT_TRUE(same_bits(stored[member], weight->forward(context, w))) << member;
  }
  EXPECT_FALSE(same_bits(stored[0], stored[1]));
  EXPECT_FALSE(same_bits(stored[1], stored[2]));
  // In the middle of training, the stored form is the same.
  EXPECT_TRUE(same_bits(decode(weight->encode(context_of(slot, Mode::train, 9), w)), stored));
}

TEST(BinaryConnect, QuantizesAllLayersByDefaultAndRefusesUnknownWords) {
  const QuantizerMethod m = method();
  EXPECT_EQ(m.name, "binaryconnect");
  EXPECT_TRUE(m.keep_float.empty());
  EXPECT_EQ(m.roles, std::vector<Role>{Role::weight});
  EXPECT_THROW(make(m, {{"mode", std::string("random")}}), OptionError);
  EXPECT_THROW(make(m, {{"samples", std::int64_t{1}}}), OptionError);
  EXPECT_EQ(make(m)->input(linear_weight_slot(1, 1)), nullptr);
}

}  // namespace
}  // namespace qhost::binaryconnect
