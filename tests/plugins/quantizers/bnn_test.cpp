// The method `bnn`, through what its plugin registers.
#include <cmath>

#include "golden_cases.h"
#include "plugin_method.h"
#include "slots.h"

namespace qhost::bnn {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::expect_each_code;
using test::input_gradient;
using test::input_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::stored;
using test::values;

const QuantizerMethod& method() {
  return test::plugin_method("bnn");
}

using Given = std::map<std::string, OptionValue>;

const Given stochastic = {{"activations", std::string("stochastic")}};

TEST(Bnn, EqualsTheIndependentImplementation) {
  const auto cases = test::golden_cases("bnn");
  ASSERT_EQ(cases.size(), 4U);
  for (const auto& which : cases) {
    const at::Tensor x = test::golden_tensor(which, "input");
    const at::Tensor g = test::golden_tensor(which, "upstream");
    const auto quantizer = make(method(), test::golden_options(which));
    if (which["role"] == "weight") {
      const SlotInfo slot = test::golden_weight_slot(x);
      const auto weight = quantizer->weight(slot);
      const SlotContext context = context_of(slot, Mode::train);
      EXPECT_TRUE(same_bits(weight->forward(context, x), test::golden_tensor(which, "value")));
      EXPECT_TRUE(same_bits(latent_gradient(*weight, context, x, g),
                            test::golden_tensor(which, "gradient")));
      at::Tensor stepped = x.clone();
      weight->after_step(context, stepped);
      EXPECT_TRUE(same_bits(stepped, test::golden_tensor(which, "clipped")));
    } else {
      const SlotInfo slot = test::golden_input_slot(x);
      const auto input = quantizer->input(slot);
      const SlotContext context = context_of(slot, Mode::train, which.value("step", 0));
      EXPECT_TRUE(same_bits(input->forward(context, x).value, test::golden_tensor(which, "value")))
          << which["options"];
      EXPECT_TRUE(
          same_bits(input_gradient(*input, context, x, g), test::golden_tensor(which, "gradient")));
    }
  }
}

TEST(Bnn, SignIsPlusOneAtBothZeros) {
  const at::Tensor x = values({-1e-30F, -0.0F, 0.0F, 1e-30F}).reshape({1, 4});
  const at::Tensor expected = values({-1, 1, 1, 1}).reshape({1, 4});
  const SlotInfo weight_slot = linear_weight_slot(1, 4);
  const auto weight = make(method())->weight(weight_slot);
  EXPECT_TRUE(same_bits(weight->forward(context_of(weight_slot, Mode::train), x), expected));
  EXPECT_TRUE(
      same_bits(decode(weight->encode(context_of(weight_slot, Mode::evaluate), x)), expected));
  const SlotInfo slot = input_slot(Op::linear, {4});
  const auto input = make(method())->input(slot);
  EXPECT_TRUE(same_bits(input->forward(context_of(slot, Mode::train), x).value, expected));
  EXPECT_TRUE(
      same_bits(decode(input->encode(context_of(slot, Mode::evaluate), x).codes, 1), expected));
}

TEST(Bnn, EvaluationForwardsWhatEncodeStores) {
  for (const Given& given : {Given{}, stochastic}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const auto quantizer = make(method(), given);
      const SlotInfo slot = conv_weight_slot(4, 3);
      const at::Tensor w = spread(slot.shape, 1.2).contiguous(format);
      const Encoded encoded = stored(*quantizer->weight(slot), slot, w);
      EXPECT_EQ(encoded.encoding, Encoding::binary(ScaleKind::none));
      expect_each_code(encoded, 2);

      const SlotInfo edge = input_slot(Op::conv2d, {3, 4, 4});
      const at::Tensor x = spread({2, 3, 4, 4}, 1.2, 7).contiguous(format);
      const EncodedInput input = stored(*quantizer->input(edge), edge, x);
      EXPECT_FALSE(input.output_scale.defined());
      expect_each_code(input.codes, 2);
    }
  }
}

TEST(Bnn, StochasticActivationsHaveTheHardSigmoidsMeanInTrainingOnly) {
  const SlotInfo slot = input_slot(Op::linear, {20000});
  const auto input = make(method(), stochastic)->input(slot);
  const at::Tensor x =
      values({-1.5, -0.5, 0.25, 1}).reshape({4, 1}).expand({4, 20000}).contiguous();
  const at::Tensor mean =
      input->forward(context_of(slot, Mode::train), x).value.mean(at::IntArrayRef{1});
  // E = 2p - 1; five standard deviations of a mean of 20000 signs are at most 0.036.
  EXPECT_EQ(mean[0].item<float>(), -1.0F);
  EXPECT_NEAR(mean[1].item<float>(), -0.5, 0.036);
  EXPECT_NEAR(mean[2].item<float>(), 0.25, 0.036);
  EXPECT_EQ(mean[3].item<float>(), 1.0F);
  const at::Tensor still = input->forward(context_of(slot, Mode::evaluate), x).value;
  EXPECT_TRUE(same_bits(still, x.sign()));
}

TEST(Bnn, GlorotScalesTheLearningRateAndSpreadsTheStart) {
  const SlotInfo slot = conv_weight_slot(32, 16);
  const auto multiplier = [&](const Given& given) {
    return make(method(), given)->weight(slot)->latent_traits(slot).learning_rate_multiplier;
  };
  const Given glorot = {{"lr_scale", std::string("glorot")}};
  EXPECT_DOUBLE_EQ(multiplier({}), 1);
  EXPECT_DOUBLE_EQ(multiplier(glorot), 1 / std::sqrt(1.5 / (9 * 16 + 9 * 32)));

  const SlotContext context = context_of(slot, Mode::train);
  const auto started = [&](const Given& given) {
    at::Tensor w = at::full(slot.shape, 0.01F, at::kFloat).set_requires_grad(true);
    make(method(), given)->weight(slot)->initialize(context, w);
    return w.detach();
  };
  const at::Tensor untouched = at::full(slot.shape, 0.01F, at::kFloat);
  const at::Tensor paper = uniform_like(context.random("initialise"), untouched).mul(2).sub(1);
  EXPECT_TRUE(same_bits(started({}), untouched));
  EXPECT_TRUE(same_bits(started(glorot), paper));
  EXPECT_TRUE(same_bits(started({{"init", std::string("paper")}}), paper));
  EXPECT_TRUE(same_bits(
      started({{"lr_scale", std::string("glorot")}, {"init", std::string("architecture")}}),
      untouched));
}

TEST(Bnn, TakesSignedInputsOfMultiplyingNodesOnly) {
  const QuantizerMethod m = method();
  EXPECT_EQ(m.name, "bnn");
  EXPECT_EQ(m.keep_float, (std::vector<std::string>{"first/input", "last"}));
  EXPECT_EQ(m.roles, (std::vector<Role>{Role::weight, Role::input}));
  EXPECT_EQ(make(m)->input(input_slot(Op::conv2d, {1, 2, 2}))->range(), InputRange::signed_values);
  EXPECT_EQ(make(m)->input(input_slot(Op::add, {1, 2, 2})), nullptr);
  EXPECT_THROW(make(m, {{"activations", std::string("random")}}), OptionError);
  EXPECT_THROW(make(m, {{"lr_scale", std::string("glorot_squared")}}), OptionError);
}

}  // namespace
}  // namespace qhost::bnn
