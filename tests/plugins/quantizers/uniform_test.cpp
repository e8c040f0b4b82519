// The method `uniform`, through what its plugin registers.
#include "golden_cases.h"
#include "plugin_method.h"
#include "slots.h"

namespace qhost::uniform {
namespace {

using test::complaint;
using test::context_of;
using test::conv_weight_slot;
using test::expect_each_code;
using test::input_gradient;
using test::input_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::parameter;
using test::same_bits;
using test::spread;
using test::stored;
using test::values;
using testing::HasSubstr;

const QuantizerMethod& method() {
  return test::plugin_method("uniform");
}

using Given = std::map<std::string, OptionValue>;

TEST(Uniform, EqualsTheIndependentImplementation) {
  const auto cases = test::golden_cases("uniform");
  ASSERT_EQ(cases.size(), 48U);
  for (const auto& which : cases) {
    const at::Tensor x = test::golden_tensor(which, "input");
    const at::Tensor g = test::golden_tensor(which, "upstream");
    const auto quantizer = make(method(), test::golden_options(which));
    at::Tensor value, gradient;
    Encoded encoded;
    if (which["role"] == "weight") {
      const SlotInfo slot = test::golden_weight_slot(x);
      const auto weight = quantizer->weight(slot);
      value = weight->forward(context_of(slot, Mode::train), x);
      gradient = latent_gradient(*weight, context_of(slot, Mode::train), x, g);
      encoded = weight->encode(context_of(slot, Mode::evaluate), x);
    } else {
      const SlotInfo slot = test::golden_input_slot(x);
      const auto input = quantizer->input(slot);
      input->initialize(context_of(slot, Mode::train));
      value = input->forward(context_of(slot, Mode::train), x).value;  // sets the range
      gradient = input_gradient(*input, context_of(slot, Mode::train), x, g);
      encoded = input->encode(context_of(slot, Mode::evaluate), x).codes;
    }
    EXPECT_TRUE(test::within_ulps(value, test::golden_tensor(which, "value"), 1))
        << which["role"] << which["options"];
    EXPECT_TRUE(same_bits(gradient.add(0), test::golden_tensor(which, "gradient").add(0)))
        << which["role"] << which["options"];
    EXPECT_TRUE(test::within_ulps(
        encoded.scale.reshape({-1}),
        test::from_hexadecimal(which["scale"], {static_cast<std::int64_t>(which["scale"].size())}),
        1));
    const auto zeros = which["zero_point"].get<std::vector<std::int64_t>>();
    const at::Tensor expected = at::tensor(zeros).mul(2);
    EXPECT_TRUE(encoded.zero_point.reshape({-1}).eq(expected).all().item<bool>());
  }
}

TEST(Uniform, EvaluationForwardsWhatEncodeStores) {
  for (const std::string scheme : {"affine", "symmetric"}) {
    for (const std::string granularity : {"tensor", "channel"}) {
      for (const std::int64_t bits : {2, 5, 8}) {
        for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
          const auto quantizer =
              make(method(), {{"scheme", scheme}, {"granularity", granularity}, {"bits", bits}});
          const SlotInfo slot = conv_weight_slot(5, 7);
          const at::Tensor w = spread(slot.shape, 0.3).contiguous(format);
          stored(*quantizer->weight(slot), slot, w);

          const SlotInfo edge = input_slot(Op::conv2d, {3, 4, 4});
          const at::Tensor x = spread({2, 3, 4, 4}, 2, 9).add(1).contiguous(format);
          const auto input = quantizer->input(edge);
          input->forward(context_of(edge, Mode::train), x);
          stored(*input, edge, x);
        }
      }
    }
  }
}

TEST(Uniform, EveryLevelIsReachedAndASymmetricGridHasOneLess) {
  const SlotInfo slot = input_slot(Op::linear, {6000});
  const at::Tensor x = spread({4, 6000}, 1);
  for (const std::int64_t bits : {2, 8}) {
    for (const bool symmetric : {false, true}) {
      const std::string scheme = symmetric ? "symmetric" : "affine";
      const auto input = make(method(), {{"bits", bits}, {"scheme", scheme}})->input(slot);
      input->forward(context_of(slot, Mode::train), x);
      expect_each_code(stored(*input, slot, x).codes, (1 << bits) - (symmetric ? 1 : 0));
    }
  }
}

TEST(Uniform, RolesChooseTheirGridUnlessItIsNamed) {
  const auto quantizer = make(method());
  EXPECT_EQ(quantizer->weight(conv_weight_slot(2, 2))->encoding({}),
            Encoding::uniform(8, ScaleKind::channel, ZeroPointKind::tensor));
  EXPECT_EQ(quantizer->input(input_slot(Op::linear, {4}))->encoding({}),
            Encoding::uniform(8, ScaleKind::tensor, ZeroPointKind::tensor));
  const auto named = make(method(), {{"scheme", std::string("affine")},
                                     {"granularity", std::string("channel")},
                                     {"bits", std::int64_t{3}}});
  const Encoding affine = Encoding::uniform(3, ScaleKind::channel, ZeroPointKind::channel);
  EXPECT_EQ(named->weight(conv_weight_slot(2, 2))->encoding({}), affine);
  EXPECT_EQ(named->input(input_slot(Op::linear, {4}))->encoding({}), affine);
}

TEST(Uniform, RangeAlwaysHoldsZeroAndZeroStaysExact) {
  const SlotInfo slot = input_slot(Op::linear, {3});
  for (const float offset : {3.0F, -3.0F}) {
    const auto input = make(method())->input(slot);
    const at::Tensor x = values({0.1F, 0.5F, 1.3F}).reshape({1, 3}).add(offset);
    input->forward(context_of(slot, Mode::train), x);
    const at::Tensor zero =
        input->forward(context_of(slot, Mode::evaluate), at::zeros({1, 3})).value;
    EXPECT_TRUE(same_bits(zero, at::zeros({1, 3})));
    const at::Tensor got = input->forward(context_of(slot, Mode::evaluate), x).value;
    EXPECT_LT((got - x).abs().max().item<float>(), 4.3F / 255);
  }
}

TEST(Uniform, MovingAverageStartsWithTheFirstBatchAndTrainingAloneMovesIt) {
  const SlotInfo slot = input_slot(Op::linear, {2});
  const auto input = make(method(), {{"momentum", 0.25}})->input(slot);
  input->initialize(context_of(slot, Mode::train));
  const at::Tensor low = parameter(*input, "low"), high = parameter(*input, "high");
  for (const SlotParameter& p : input->parameters()) EXPECT_FALSE(p.trainable) << p.name;

  const at::Tensor x = values({-1, 4}).reshape({1, 2});
  EXPECT_THAT(complaint(ErrorKind::configuration,
                        [&] { input->encode(context_of(slot, Mode::evaluate), x); }),
              HasSubstr("the inputs of stage1.conv comes from training batches, and there was "
                        "none\nhelp: train"));
  input->forward(context_of(slot, Mode::evaluate), x);
  input->observe(context_of(slot, Mode::calibrate), x);
  EXPECT_EQ(low.item<float>(), 0.0F);
  EXPECT_EQ(high.item<float>(), 1.0F);
  input->forward(context_of(slot, Mode::train), x);
  EXPECT_EQ(low.item<float>(), -1.0F);
  EXPECT_EQ(high.item<float>(), 4.0F);
  input->forward(context_of(slot, Mode::train), values({-5, 8}).reshape({1, 2}));
  EXPECT_EQ(low.item<float>(), -2.0F);  // -1 + (-5 + 1)/4
  EXPECT_EQ(high.item<float>(), 5.0F);
}

TEST(Uniform, CalibrationTakesTheExtremesOfAllBatchesOrTheMeanOfTheirPercentiles) {
  const SlotInfo slot = input_slot(Op::linear, {5});
  const at::Tensor first = values({-9, 1, 2, 3, 9}).reshape({1, 5});
  const at::Tensor second = values({-3, -2, 1, 5, 11}).reshape({1, 5});
  const auto calibrated = [&](double percentile) {
    auto quantizer =
        make(method(), {{"range", std::string("calibrated")}, {"percentile", percentile}});
    EXPECT_TRUE(quantizer->traits().needs_calibration);
    auto input = quantizer->input(slot);
    input->initialize(context_of(slot, Mode::train));
    input->observe(context_of(slot, Mode::calibrate), first);
    input->observe(context_of(slot, Mode::calibrate), second);
    input->forward(context_of(slot, Mode::train), first.mul(100));  // the range stays
    return std::make_pair(parameter(*input, "low").item<float>(),
                          parameter(*input, "high").item<float>());
  };
  EXPECT_EQ(calibrated(100), std::make_pair(-9.0F, 11.0F));
  // Rank ceil(5 * 0.8) = 4 and 2: (1, 3) and (-2, 5).
  EXPECT_EQ(calibrated(80), std::make_pair(-0.5F, 4.0F));
  EXPECT_FALSE(make(method())->traits().needs_calibration);
}

TEST(Uniform, GradientStopsWhereThePercentileClips) {
  const SlotInfo slot = linear_weight_slot(1, 5);
  const at::Tensor w = values({-8, -1, 0.5F, 1, 2}).reshape({1, 5});
  const Given given = {{"bits", std::int64_t{3}}, {"percentile", 80.0}};
  // |W| of rank 4 is 2, Q = 3: the step is 2/3, and -8 is outside.
  const auto weight = make(method(), given)->weight(slot);
  EXPECT_TRUE(
      same_bits(latent_gradient(*weight, context_of(slot, Mode::train), w, at::ones({1, 5})).add(0),
                values({0, 1, 1, 1, 1}).reshape({1, 5})));
}

TEST(Uniform, AnAllZeroChannelIsFinite) {
  const SlotInfo slot = linear_weight_slot(2, 2);
  const auto weight = make(method(), {{"bits", std::int64_t{2}}})->weight(slot);  // step 1
  const at::Tensor w = values({0, 0, 1, -1}).reshape({2, 2});
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train), w), w));
}

TEST(Uniform, OffersBothRolesForAllLayersAndRefusesUnknownWords) {
  const QuantizerMethod m = method();
  EXPECT_TRUE(m.keep_float.empty());
  EXPECT_EQ(m.roles, (std::vector<Role>{Role::weight, Role::input}));
  EXPECT_EQ(make(m)->input(input_slot(Op::add, {1, 2, 2})), nullptr);
  EXPECT_EQ(make(m)->input(input_slot(Op::linear, {2}))->range(), InputRange::any);
  EXPECT_THROW(make(m, {{"bits", std::int64_t{1}}}), OptionError);
  EXPECT_THROW(make(m, {{"percentile", 50.0}}), OptionError);
  EXPECT_THROW(make(m, {{"momentum", 0.0}}), OptionError);
  EXPECT_THROW(make(m, {{"scheme", std::string("signed")}}), OptionError);
}

}  // namespace
}  // namespace qhost::uniform
