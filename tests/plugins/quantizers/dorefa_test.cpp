// The method `dorefa`, through what its plugin registers.
#include <cmath>

#include "golden_cases.h"
#include "plugin_method.h"
#include "qhost/error.h"
#include "slots.h"

namespace qhost::dorefa {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::input_gradient;
using test::input_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;

const QuantizerMethod& method() {
  return test::plugin_method("dorefa");
}

using Given = std::map<std::string, OptionValue>;

Given weight_bits(std::int64_t bits) {
  return {{"weight_bits", bits}};
}

SlotInfo gradient_slot() {
  SlotInfo slot;
  slot.node = "stage1.conv";
  slot.role = Role::gradient;
  return slot;
}

TEST(Dorefa, EqualsTheIndependentImplementation) {
  const auto cases = test::golden_cases("dorefa");
  ASSERT_EQ(cases.size(), 25U);
  for (const auto& which : cases) {
    const at::Tensor x = test::golden_tensor(which, "input");
    const at::Tensor g = test::golden_tensor(which, "upstream");
    const auto quantizer = make(method(), test::golden_options(which));
    if (which["role"] == "gradient") {
      const SlotInfo slot = gradient_slot();
      const auto step = which["step"].get<std::int64_t>();
      const at::Tensor value =
          quantizer->gradient(slot)->backward(context_of(slot, Mode::train, step), x);
      EXPECT_TRUE(test::within_ulps(value, test::golden_tensor(which, "value"), 2))
          << which["options"];
      continue;
    }
    at::Tensor value, gradient;
    if (which["role"] == "weight") {
      const SlotInfo slot = conv_weight_slot(x.size(0), x.size(1));
      const auto weight = quantizer->weight(slot);
      value = weight->forward(context_of(slot, Mode::train), x);
      gradient = latent_gradient(*weight, context_of(slot, Mode::train), x, g);
    } else {
      const SlotInfo slot = input_slot(Op::conv2d, {x.size(1), x.size(2), x.size(3)});
      const auto input = quantizer->input(slot);
      value = input->forward(context_of(slot, Mode::train), x).value;
      gradient = input_gradient(*input, context_of(slot, Mode::train), x, g);
    }
    at::Tensor expected = test::golden_tensor(which, "value");
    if (which.contains("undecided")) {  // a latent 0 is halfway between two codes
      const auto i = which["undecided"].get<std::int64_t>();
      EXPECT_EQ(x.view(-1)[i].item<float>(), 0.0F);
      expected.view(-1)[i] = value.detach().reshape(-1)[i];
    }
    EXPECT_TRUE(test::within_ulps(value, expected, 1)) << which["options"];
    EXPECT_TRUE(test::within_ulps(gradient, test::golden_tensor(which, "gradient"), 8))
        << which["options"];
  }
}

TEST(Dorefa, QuantizedGradientsAreUnbiasedAndScaledPerImage) {
  const SlotInfo slot = gradient_slot();
  const auto quantizer = make(method(), {{"gradient_bits", std::int64_t{2}}})->gradient(slot);
  at::Tensor g = spread({2, 3, 2, 2}, 0.5);
  g[1].mul_(1e-6);
  at::Tensor mean = at::zeros_like(g, at::kDouble);
  constexpr int draws = 4000;
  for (int step = 0; step < draws; ++step) {
    const at::Tensor q = quantizer->backward(context_of(slot, Mode::train, step), g);
    mean += q.to(at::kDouble) / draws;
    if (step != 0) continue;
    // 2m * {-1/2, -1/6, 1/6, 1/2}, with the image's own m.
    for (const int image : {0, 1}) {
      const at::Tensor levels = q[image].div(g[image].abs().max()).mul(3);
      EXPECT_TRUE(at::allclose(levels, levels.round(), 1e-5, 1e-5));
      EXPECT_LE(levels.abs().max().item<double>(), 3.001);
    }
  }
  // 0.67 m is one step of the levels; the mean of 4000 draws has an error of 1 % of it.
  for (const int image : {0, 1}) {
    const at::Tensor error = (mean[image] - g[image]).abs() / g[image].abs().max();
    EXPECT_LT(error.max().item<double>(), 0.04);
  }
}

TEST(Dorefa, GradientBitsAreOptionalAndWithinTheirRange) {
  EXPECT_EQ(make(method(), {})->gradient(gradient_slot()), nullptr);
  EXPECT_EQ(
      make(method(), {{"gradient_bits", std::int64_t{6}}})->gradient(gradient_slot())->summary(),
      "6 bit, stochastic, scale per image");
  try {
    make(method(), {{"gradient_bits", std::int64_t{12}}});
    ADD_FAILURE() << "12 bits were taken";
  } catch (const OptionError& error) {
    EXPECT_STREQ(error.what(),
                 "gradient_bits = 12 lies between 9 and 31\n"
                 "help: give 1 to 8, or 32 for gradients in float");
  }
}

TEST(Dorefa, WeightsOfSeveralBitsFillTheIntervalSymmetrically) {
  const SlotInfo slot = linear_weight_slot(1, 6);
  // tanh is odd, and the largest |W| sets the scale: -1, -1/3, 1/3, 1 for two bits.
  const at::Tensor w = values({-2, -0.5, -0.1F, 0.1F, 0.5, 2}).reshape({1, 6});
  const float third = 1.0F / 3;
  const at::Tensor got =
      make(method(), weight_bits(2))->weight(slot)->forward(context_of(slot, Mode::train), w);
  EXPECT_TRUE(
      test::within_ulps(got, values({-1, -third, -third, third, third, 1}).reshape({1, 6}), 1));
}

TEST(Dorefa, ExactGradientFollowsTheLargestWeight) {
  // Finite difference of 2 * (tanh(w) / (2m) + 1/2) - 1 = tanh(w)/m, that is, without rounding.
  const SlotInfo slot = linear_weight_slot(1, 3);
  const at::Tensor w = values({0.3F, -0.9F, 0.5F}).reshape({1, 3});
  const at::Tensor g = values({1, 2, -3}).reshape({1, 3});
  const auto loss = [&](std::vector<double> v) {
    const double m = std::tanh(std::fabs(v[1]));
    return (std::tanh(v[0]) + 2 * std::tanh(v[1]) - 3 * std::tanh(v[2])) / m;
  };
  const auto gradient = [&](const std::string& kind) {
    const Given given = {{"weight_bits", std::int64_t{4}}, {"gradient", kind}};
    return latent_gradient(*make(method(), given)->weight(slot), context_of(slot, Mode::train), w,
                           g);
  };
  const at::Tensor exact = gradient("exact");
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<double> up = {0.3F, -0.9F, 0.5F}, down = up;
    up[i] += 1e-5;
    down[i] -= 1e-5;
    EXPECT_NEAR(exact.view(-1)[static_cast<std::int64_t>(i)].item<double>(),
                (loss(up) - loss(down)) / 2e-5, 1e-4);
  }
  const at::Tensor fixed = gradient("fixed_max");
  EXPECT_EQ(fixed[0][0].item<float>(), exact[0][0].item<float>());
  EXPECT_EQ(fixed[0][2].item<float>(), exact[0][2].item<float>());
  EXPECT_NE(fixed[0][1].item<float>(), exact[0][1].item<float>());
}

TEST(Dorefa, OneBitIsTheSignTimesTheMeanOfTheLayer) {
  const SlotInfo slot = linear_weight_slot(2, 3);
  const at::Tensor w = values({-1, 2, 0.0F, /**/ -0.0F, 5, -4}).reshape({2, 3});
  const auto weight = make(method())->weight(slot);
  const at::Tensor expected = values({-2, 2, 2, 2, 2, -2}).reshape({2, 3});
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train), w), expected));
  const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_EQ(encoded.encoding, Encoding::binary(ScaleKind::tensor));
  EXPECT_TRUE(same_bits(decode(encoded), expected));
}

TEST(Dorefa, InputsAreClippedToTheUnitIntervalWithTheBoundsInside) {
  const SlotInfo slot = input_slot(Op::linear, {6});
  const auto input = make(method(), {{"input_bits", std::int64_t{1}}})->input(slot);
  const at::Tensor x = values({-0.25F, 0, 0.4F, 0.6F, 1, 1.5F}).reshape({1, 6});
  EXPECT_TRUE(same_bits(input->forward(context_of(slot, Mode::train), x).value,
                        values({0, 0, 0, 1, 1, 1}).reshape({1, 6})));
  EXPECT_TRUE(same_bits(input_gradient(*input, context_of(slot, Mode::train), x, at::ones({1, 6})),
                        values({0, 1, 1, 1, 1, 0}).reshape({1, 6})));
  EXPECT_EQ(input->range(), InputRange::non_negative);
}

TEST(Dorefa, EvaluationForwardsWhatEncodeStoresAndReachesEveryLevel) {
  for (const std::int64_t bits : {1, 2, 5, 8}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const auto quantizer = make(method(), {{"weight_bits", bits}, {"input_bits", bits}});
      const SlotInfo slot = conv_weight_slot(24, 17);
      const at::Tensor w = spread(slot.shape, 0.7).contiguous(format);
      const at::Tensor before = w.clone();
      const auto weight = quantizer->weight(slot);
      const SlotContext context = context_of(slot, Mode::evaluate);
      const Encoded encoded = weight->encode(context, w);
      EXPECT_EQ(encoded.encoding, weight->encoding(slot));
      EXPECT_EQ(why_invalid(encoded.encoding), "");
      EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context, w))) << bits;
      EXPECT_TRUE(same_bits(w, before));

      const SlotInfo edge = input_slot(Op::conv2d, {3, 64, 64});
      const at::Tensor x = spread({2, 3, 64, 64}, 1.3, 3).contiguous(format);
      const auto input = quantizer->input(edge);
      const SlotContext at_edge = context_of(edge, Mode::evaluate);
      const EncodedInput stored = input->encode(at_edge, x);
      EXPECT_EQ(stored.codes.encoding, input->encoding(edge));
      EXPECT_EQ(why_invalid(stored.codes.encoding), "");
      EXPECT_TRUE(same_bits(decode(stored.codes, 1), input->forward(at_edge, x).value)) << bits;
      for (int code = 0; code < 1 << bits; ++code) {
        EXPECT_GT(encoded.codes.eq(code).sum().item<int>(), 0) << bits << " " << code;
        EXPECT_GT(stored.codes.codes.eq(code).sum().item<int>(), 0) << bits << " " << code;
      }
    }
  }
}

TEST(Dorefa, AnAllZeroLayerIsFinite) {
  const SlotInfo slot = linear_weight_slot(2, 2);
  for (const std::int64_t bits : {1, 4}) {
    const auto weight = make(method(), weight_bits(bits))->weight(slot);
    const SlotContext context = context_of(slot, Mode::train);
    EXPECT_TRUE(at::isfinite(weight->forward(context, at::zeros({2, 2}))).all().item<bool>());
    // tanh' is 1 there, and max|tanh(W)| counts as 1: the gradient passes unchanged.
    const at::Tensor g = values({80, -3, 0.5F, 0}).reshape({2, 2});
    EXPECT_TRUE(same_bits(latent_gradient(*weight, context, at::zeros({2, 2}), g), g));
  }
}

TEST(Dorefa, KeepsTheFirstAndLastLayerInFloatByDefault) {
  const QuantizerMethod m = method();
  EXPECT_EQ(m.keep_float, (std::vector<std::string>{"first", "last"}));
  EXPECT_EQ(m.roles, (std::vector<Role>{Role::weight, Role::input, Role::gradient}));
  EXPECT_EQ(make(m)->input(input_slot(Op::add, {1, 2, 2})), nullptr);
  EXPECT_THROW(make(m, weight_bits(0)), OptionError);
  EXPECT_THROW(make(m, weight_bits(9)), OptionError);
  EXPECT_THROW(make(m, {{"gradient", std::string("none")}}), OptionError);
}

}  // namespace
}  // namespace qhost::dorefa
