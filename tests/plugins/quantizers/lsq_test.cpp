#include "plugins/lsq/method.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "golden_cases.h"
#include "slots.h"

namespace qhost::lsq {
namespace {

using test::complaint;
using test::context_of;
using test::conv_weight_slot;
using test::expect_each_code;
using test::input_gradient;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::parameter;
using test::refusal;
using test::same_bits;
using test::spread;
using test::stored;
using test::values;
using testing::AllOf;
using testing::HasSubstr;

using Given = std::map<std::string, OptionValue>;

/// An input behind a ReLU, as in the paper.
SlotInfo input_slot(Op op, std::vector<std::int64_t> shape) {
  SlotInfo slot = test::input_slot(op, std::move(shape));
  slot.non_negative = true;
  return slot;
}

Given weight_bits(std::int64_t bits) {
  return {{"weight_bits", bits}};
}

/// Sets a step, as an optimizer or a loaded checkpoint does.
void set(at::Tensor tensor, float value) {
  const at::NoGradGuard no_grad;
  tensor.fill_(value);
}

TEST(Lsq, EqualsTheIndependentImplementation) {
  const auto cases = test::golden_cases("lsq");
  ASSERT_EQ(cases.size(), 14U);
  for (const auto& which : cases) {
    const at::Tensor v = test::golden_tensor(which, "input");
    const at::Tensor g = test::golden_tensor(which, "upstream");
    const float golden_step = test::from_hexadecimal(which["step"], {}).item<float>();
    Given given = test::golden_options(which);
    given.try_emplace("signed_inputs", false);  // the cases are about the slot, not its edge
    const auto quantizer = make(method(), given);
    at::Tensor value, gradient, step, first;
    if (which["role"] == "weight") {
      const SlotInfo slot = test::golden_weight_slot(v);
      const auto weight = quantizer->weight(slot);
      const SlotContext context = context_of(slot, Mode::train);
      step = parameter(*weight, "step");
      at::Tensor latent = v.clone();
      weight->initialize(context, latent);
      EXPECT_TRUE(same_bits(latent, v));
      first = step.clone();
      set(step, golden_step);
      step.set_requires_grad(true);
      value = weight->forward(context, v);
      gradient = latent_gradient(*weight, context, v, g);
    } else {
      const SlotInfo slot = test::golden_input_slot(v);
      const auto input = quantizer->input(slot);
      const SlotContext context = context_of(slot, Mode::train);
      input->initialize(context);
      step = parameter(*input, "step");
      input->forward(context, v);  // the first batch sets the step
      first = step.clone();
      set(step, golden_step);
      step.set_requires_grad(true);
      value = input->forward(context, v).value;
      gradient = input_gradient(*input, context, v, g);
    }
    EXPECT_TRUE(same_bits(value, test::golden_tensor(which, "value").add(0))) << which["options"];
    EXPECT_TRUE(same_bits(gradient.add(0), test::golden_tensor(which, "gradient").add(0)))
        << which["options"];
    EXPECT_TRUE(test::within_ulps(first, test::from_hexadecimal(which["first_step"], {}), 1));
    EXPECT_TRUE(
        test::within_ulps(step.grad(), test::from_hexadecimal(which["step_gradient"], {}), 16))
        << which["options"];
  }
}

TEST(Lsq, BoundsBelongToTheOutside) {
  // Qn = 2, Qp = 1, s = 1: the weights -2 and 1 lie on the bounds.
  const SlotInfo slot = linear_weight_slot(1, 6);
  const at::Tensor w = values({-2.5, -2, -1.75, 0.75, 1, 1.5}).reshape({1, 6});
  const auto weight = make(method(), weight_bits(2))->weight(slot);
  at::Tensor step = parameter(*weight, "step");
  step.set_requires_grad(true);
  const at::Tensor g = values({1, 2, 4, 8, 16, 32}).reshape({1, 6});
  EXPECT_TRUE(same_bits(latent_gradient(*weight, context_of(slot, Mode::train), w, g),
                        values({0, 0, 4, 8, 0, 0}).reshape({1, 6})));
  // -Qn * (1 + 2) + (-2 + 1.75) * 4 + (1 - 0.75) * 8 + Qp * (16 + 32), times 1/sqrt(6 * 1)
  EXPECT_FLOAT_EQ(step.grad().item<float>(), static_cast<float>(43 / std::sqrt(6.0)));
}

TEST(Lsq, FirstTrainingBatchSetsTheStepOfAnInputOnce) {
  const SlotInfo slot = input_slot(Op::linear, {4});
  const auto input = make(method(), {{"input_bits", std::int64_t{2}}})->input(slot);
  input->initialize(context_of(slot, Mode::train));
  const at::Tensor step = parameter(*input, "step");
  const at::Tensor x = values({0, 1, 2, 3}).reshape({1, 4});

  // Evaluation and calibration are not the first batch, and without one there are no codes.
  EXPECT_THAT(complaint(ErrorKind::configuration,
                        [&] { input->encode(context_of(slot, Mode::evaluate), x); }),
              HasSubstr("the inputs of stage1.conv starts with the first training batch, and there "
                        "was none\nhelp: train"));
  input->forward(context_of(slot, Mode::evaluate), x);
  input->observe(context_of(slot, Mode::calibrate), x);
  EXPECT_EQ(step.item<float>(), 1.0F);

  input->forward(context_of(slot, Mode::train), x);
  const auto first = static_cast<float>(2 * 1.5 / std::sqrt(3.0));
  EXPECT_EQ(step.item<float>(), first);
  input->forward(context_of(slot, Mode::train), x.mul(5));
  EXPECT_EQ(step.item<float>(), first);

  // A checkpoint contains the fact, so that a new object gets it by loading.
  const auto resumed = make(method(), {{"input_bits", std::int64_t{2}}})->input(slot);
  for (const SlotParameter& saved : input->parameters()) {
    parameter(*resumed, saved.name).copy_(saved.tensor.detach());
  }
  resumed->forward(context_of(slot, Mode::train, 1), x.mul(7));
  EXPECT_EQ(parameter(*resumed, "step").item<float>(), first);
}

TEST(Lsq, GradientScaleCountsTheFeaturesOfOneSample) {
  const SlotInfo slot = input_slot(Op::linear, {3});
  const auto step_gradient = [&](std::int64_t batch) {
    const auto input = make(method())->input(slot);
    set(parameter(*input, "started"), 1);
    at::Tensor step = parameter(*input, "step");
    step.set_requires_grad(true);
    const at::Tensor x = at::full({batch, 3}, 99.0F, at::kFloat);
    input_gradient(*input, context_of(slot, Mode::train), x, at::ones_like(x));
    return step.grad().item<float>();
  };
  EXPECT_FLOAT_EQ(step_gradient(1), static_cast<float>(3 * 15 / std::sqrt(3.0 * 15)));
  EXPECT_FLOAT_EQ(step_gradient(4), 4 * step_gradient(1));
}

TEST(Lsq, EvaluationForwardsWhatEncodeStoresAndReachesEveryLevel) {
  for (const std::int64_t bits : {2, 3, 8}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const SlotInfo slot = conv_weight_slot(24, 40);
      const auto weight = make(method(), weight_bits(bits))->weight(slot);
      set(parameter(*weight, "step"), 0.013F);
      const at::Tensor w =
          spread(slot.shape, 0.008 * std::ldexp(1.0, static_cast<int>(bits))).contiguous(format);
      const Encoded encoded = stored(*weight, slot, w);
      EXPECT_EQ(encoded.zero_point.item<int>(), 1 << bits);
      expect_each_code(encoded, 1 << bits);
    }
  }
}

TEST(Lsq, EvaluatedInputsAreWhatEncodeStoresAndReachEveryLevel) {
  for (const bool both_signs : {false, true}) {
    for (const std::int64_t bits : {2, 8}) {
      const SlotInfo slot = input_slot(Op::conv2d, {3, 64, 64});
      const auto input =
          make(method(), {{"input_bits", bits}, {"signed_inputs", both_signs}})->input(slot);
      set(parameter(*input, "step"), 0.013F);
      set(parameter(*input, "started"), 1);
      const at::Tensor x = spread({2, 3, 64, 64}, 0.016 * std::ldexp(1.0, static_cast<int>(bits)));
      const Encoded encoded = stored(*input, slot, x).codes;
      EXPECT_EQ(encoded.encoding.zero_point,
                both_signs ? ZeroPointKind::tensor : ZeroPointKind::none);
      EXPECT_EQ(encoded.zero_point.defined(), both_signs);
      EXPECT_EQ(input->range(), both_signs ? InputRange::any : InputRange::non_negative);
      expect_each_code(encoded, 1 << bits);
    }
  }
}

TEST(Lsq, StepIsALearnedTensorThatStaysPositive) {
  const SlotInfo slot = conv_weight_slot(2, 2);
  const auto quantizer = make(method(), {{"step_learning_rate", 0.25}, {"step_weight_decay", 0.5}});
  const auto weight = quantizer->weight(slot);
  ASSERT_EQ(weight->parameters().size(), 1U);
  const SlotParameter p = weight->parameters()[0];
  EXPECT_TRUE(p.trainable);
  EXPECT_DOUBLE_EQ(p.learning_rate_multiplier, 0.25);
  EXPECT_DOUBLE_EQ(p.weight_decay, 0.5);
  EXPECT_EQ(parameter(*make(method())->weight(slot), "step").numel(), 1);

  at::Tensor w = spread(slot.shape, 3);
  const at::Tensor before = w.clone();
  set(p.tensor, -3);
  weight->after_step(context_of(slot, Mode::train), w);
  EXPECT_EQ(p.tensor.item<float>(), static_cast<float>(smallest_step));
  EXPECT_TRUE(same_bits(w, before));  // the latent weights are not clipped

  const SlotInfo edge = input_slot(Op::linear, {4});
  const auto input = quantizer->input(edge);
  EXPECT_FALSE(input->parameters()[1].trainable);
  set(parameter(*input, "step"), -3);
  input->after_step(context_of(edge, Mode::train));
  EXPECT_GT(parameter(*input, "step").item<float>(), 0.0F);
}

TEST(Lsq, AnAllZeroLayerHasAStep) {
  const SlotInfo slot = linear_weight_slot(2, 2);
  at::Tensor w = at::zeros({2, 2});
  const auto weight = make(method())->weight(slot);
  weight->initialize(context_of(slot, Mode::train), w);
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train), w), at::zeros({2, 2})));
}

TEST(Lsq, TheFirstAndTheLastLayerHaveTheirOwnBits) {
  const auto bits = [](const Given& given, SlotInfo slot, bool first, bool last) {
    slot.first = first;
    slot.last = last;
    const auto quantizer = make(method(), given);
    const Encoding encoding = slot.role == Role::weight ? quantizer->weight(slot)->encoding(slot)
                                                        : quantizer->input(slot)->encoding(slot);
    return to_string(encoding);
  };
  const Given three = {{"weight_bits", std::int64_t{3}}, {"input_bits", std::int64_t{2}}};
  const SlotInfo weight = conv_weight_slot(4, 3), input = input_slot(Op::conv2d, {3, 4, 4});
  const std::string signed_levels = ", scale per tensor, zero point per tensor";
  EXPECT_EQ(bits(three, weight, false, false), "uniform 3 bit" + signed_levels);
  EXPECT_EQ(bits(three, weight, true, false), "uniform 8 bit" + signed_levels);
  EXPECT_EQ(bits(three, weight, false, true), "uniform 8 bit" + signed_levels);
  EXPECT_EQ(bits(three, input, false, false), "uniform 2 bit, scale per tensor");
  EXPECT_EQ(bits(three, input, false, true), "uniform 8 bit, scale per tensor");
  // The image has values of both signs.
  EXPECT_EQ(bits(three, input, true, false), "uniform 8 bit" + signed_levels);
  Given four = three;
  four["first_last_bits"] = std::int64_t{4};
  EXPECT_EQ(bits(four, weight, true, false), "uniform 4 bit" + signed_levels);
  SlotInfo image = input;
  image.first = true;
  EXPECT_EQ(make(method(), three)->input(image)->range(), InputRange::any);
  EXPECT_EQ(make(method(), three)->input(input)->range(), InputRange::non_negative);
}

TEST(Lsq, InputsThatCanBeNegativeHaveLevelsOnBothSides) {
  const SlotInfo rectified = input_slot(Op::linear, {4});
  const SlotInfo any = test::input_slot(Op::linear, {4});
  const auto zero_point = [](const Given& given, const SlotInfo& slot) {
    return make(method(), given)->input(slot)->encoding(slot).zero_point;
  };
  EXPECT_EQ(zero_point({}, rectified), ZeroPointKind::none);
  EXPECT_EQ(zero_point({}, any), ZeroPointKind::tensor);
  EXPECT_EQ(zero_point({{"signed_inputs", std::string("auto")}}, any), ZeroPointKind::tensor);
  // A boolean, as in files older than "auto", and the word.
  for (const OptionValue& no : {OptionValue(false), OptionValue(std::string("false"))}) {
    EXPECT_EQ(zero_point({{"signed_inputs", no}}, rectified), ZeroPointKind::none);
    EXPECT_EQ(zero_point({{"signed_inputs", no}}, any), ZeroPointKind::none);
  }
  for (const OptionValue& yes : {OptionValue(true), OptionValue(std::string("true"))}) {
    EXPECT_EQ(zero_point({{"signed_inputs", yes}}, rectified), ZeroPointKind::tensor);
    EXPECT_EQ(zero_point({{"signed_inputs", yes}}, any), ZeroPointKind::tensor);
  }
  // The value -0.7 is not clipped: the step is 2 * mean|x| / sqrt(7), the codes are x / s + 8.
  const auto input = make(method())->input(any);
  const at::Tensor x = values({-0.7F, 0.3F, 0, 1}).reshape({1, 4});
  input->forward(context_of(any, Mode::train), x);
  const double step = 2 * 0.5 / std::sqrt(7.0);
  EXPECT_NEAR(parameter(*input, "step").item<double>(), step, 1e-6);
  EXPECT_TRUE(at::equal(stored(*input, any, x).codes.codes,
                        at::tensor({8 + std::lround(-0.7 / step), 8 + std::lround(0.3 / step), 8L,
                                    8 + std::lround(1 / step)})
                            .reshape({1, 4})
                            .to(at::kByte)));
}

TEST(Lsq, OneBitHasNoLevelBelowZeroAndSaysSo) {
  const SlotInfo any = test::input_slot(Op::linear, {4});
  const auto one = make(method(), {{"input_bits", std::int64_t{1}}})->input(any);
  EXPECT_EQ(one->range(), InputRange::non_negative);
  EXPECT_EQ(one->range_advice(),
            "1 bit has no levels on both sides of 0: set input_bits = 2 or more");
  const auto never = make(method(), {{"signed_inputs", false}})->input(any);
  EXPECT_EQ(never->range(), InputRange::non_negative);
  EXPECT_EQ(never->range_advice(), "signed_inputs = \"auto\" gives them levels on both sides of 0");
}

TEST(Lsq, RefusesWhatHasNoLevels) {
  const QuantizerMethod m = method();
  EXPECT_TRUE(m.keep_float.empty());
  EXPECT_EQ(m.roles, (std::vector<Role>{Role::weight, Role::input}));
  EXPECT_THROW(make(m, weight_bits(1)), OptionError);
  EXPECT_THROW(make(m, weight_bits(9)), OptionError);
  EXPECT_EQ(make(m)->input(input_slot(Op::add, {1, 2, 2})), nullptr);
  EXPECT_THAT(refusal([&] {
                make(m, {{"input_bits", std::int64_t{1}}, {"signed_inputs", true}});
              }),
              AllOf(testing::StartsWith("signed_inputs: "),
                    HasSubstr("with input_bits = 1 leaves the levels -1 and 0"),
                    HasSubstr("help: set input_bits = 2 or more")));
}

}  // namespace
}  // namespace qhost::lsq
