// The slot objects of the contract plugins alone; contract_run_test.cpp trains with them.
#include <algorithm>
#include <cmath>

#include "qhost/error.h"
#include "slots.h"
#include "tests/plugins/contract/input.h"
#include "tests/plugins/contract/rounding.h"
#include "tests/plugins/contract/weight.h"

namespace qhost::contract {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::input_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;
using testing::HasSubstr;

using Given = std::map<std::string, OptionValue>;

/// A weight slot, initialized with `latent` as in the host.
std::unique_ptr<WeightQuantizer> started(const SlotInfo& slot, at::Tensor latent,
                                         const Given& given) {
  auto weight = make(weight_method(), given)->weight(slot);
  weight->initialize(context_of(slot, Mode::train), latent);
  return weight;
}

at::Tensor parameter(WeightQuantizer& quantizer, const std::string& name) {
  for (const SlotParameter& p : quantizer.parameters()) {
    if (p.name == name) return p.tensor;
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

at::Tensor parameter(InputQuantizer& quantizer, const std::string& name) {
  for (const SlotParameter& p : quantizer.parameters()) {
    if (p.name == name) return p.tensor;
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

TEST(RoundToCode, RoundsHalfToEvenClipsAndDraws) {
  const at::Tensor t = values({-1, -0.5, 0.5, 1.5, 2.4F, 3, 3.5, 9});
  EXPECT_TRUE(
      same_bits(round_to_code(t, std::nullopt, 2).add(0), values({0, 0, 0, 2, 2, 3, 3, 3})));
  const at::Tensor u = values({0, 0.4F, 0.5, 0.4F, 0.6F, 0.99F, 0.5, 0});
  EXPECT_TRUE(same_bits(round_to_code(t, u, 2).add(0), values({0, 0, 1, 1, 3, 3, 3, 3})));
}

TEST(RoundToCode, GradientPassesWithinTheRangeAndAtItsBounds) {
  const at::Tensor t = values({-0.01F, 0, 1.3F, 3, 3.01F}).set_requires_grad(true);
  (round_to_code_ste(t, std::nullopt, 2) * values({1, 2, 3, 4, 5})).sum().backward();
  EXPECT_TRUE(same_bits(t.grad(), values({0, 2, 3, 4, 0})));
}

TEST(ContractUniformWeight, LevelsAreOddMultiplesOfHalfTheStep) {
  const SlotInfo slot = linear_weight_slot(1, 6);
  const at::Tensor w = values({-9, -1.25, -0.1F, 0.1F, 0.6F, 9}).reshape({1, 6});
  const auto weight = started(slot, w, {{"bits", std::int64_t{2}}});
  at::Tensor step = parameter(*weight, "step");
  // 2 * mean|W| / sqrt(3/2)
  EXPECT_FLOAT_EQ(step.item<float>(), static_cast<float>(2 * 20.05 / 6 / std::sqrt(1.5)));
  step.fill_(0.5);
  const at::Tensor expected = values({-0.75F, -0.75F, -0.25F, 0.25F, 0.75F, 0.75F}).reshape({1, 6});
  EXPECT_TRUE(same_bits(weight->forward(context_of(slot, Mode::train), w), expected));
  const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_EQ(encoded.encoding, Encoding::uniform(2, ScaleKind::tensor, ZeroPointKind::tensor));
  EXPECT_EQ(encoded.zero_point.item<int>(), 3);
  EXPECT_TRUE(same_bits(encoded.codes.to(at::kFloat), values({0, 0, 1, 2, 3, 3}).reshape({1, 6})));
}

TEST(ContractUniformWeight, GradientsAreThoseOfALearnedStep) {
  const SlotInfo slot = linear_weight_slot(1, 4);
  const at::Tensor w = values({-4, -0.3F, 0.4F, 2}).reshape({1, 4});
  const at::Tensor g = values({1, 10, 100, 1000}).reshape({1, 4});
  const auto weight = started(slot, w, {{"bits", std::int64_t{2}}});
  at::Tensor step = parameter(*weight, "step");
  step.fill_(1).set_requires_grad(true);
  const at::Tensor latent = latent_gradient(*weight, context_of(slot, Mode::train), w, g);
  // Inside: |W/s| <= 3/2.
  EXPECT_TRUE(same_bits(latent, values({0, 10, 100, 0}).reshape({1, 4})));
  const double by_hand = -1.5 + 10 * (-0.5 + 0.3) + 100 * (0.5 - 0.4) + 1000 * 1.5;
  EXPECT_NEAR(step.grad().item<double>(), by_hand / std::sqrt(4 * 1.5), 1e-3);
}

TEST(ContractUniformWeight, StepIsALearnedTensorWithItsOwnTreatment) {
  const SlotInfo slot = conv_weight_slot(2, 2);
  at::Tensor w = spread(slot.shape, 3);
  const auto weight = started(slot, w, {{"clip", 0.5}, {"step_weight_decay", 0.25}});
  const std::vector<SlotParameter> parameters = weight->parameters();
  ASSERT_EQ(parameters.size(), 1U);
  EXPECT_TRUE(parameters[0].trainable);
  EXPECT_DOUBLE_EQ(parameters[0].learning_rate_multiplier, 0.1);
  EXPECT_DOUBLE_EQ(parameters[0].weight_decay, 0.25);
  // An optimizer may make the step negative; the slot keeps it positive and clips the weight.
  parameters[0].tensor.fill_(-3);
  weight->after_step(context_of(slot, Mode::train), w);
  EXPECT_GT(parameter(*weight, "step").item<float>(), 0.0F);
  EXPECT_LE(w.abs().max().item<float>(), 0.5F);
}

TEST(ContractUniformWeight, StochasticDrawsInTrainingOnly) {
  const SlotInfo slot = conv_weight_slot(8, 4);
  const at::Tensor w = spread(slot.shape, 0.5);
  const auto weight = started(slot, w, {{"stochastic", true}});
  const auto at_step = [&](Mode mode, std::int64_t step) {
    return weight->forward(context_of(slot, mode, step), w);
  };
  EXPECT_TRUE(same_bits(at_step(Mode::train, 3), at_step(Mode::train, 3)));
  EXPECT_FALSE(same_bits(at_step(Mode::train, 3), at_step(Mode::train, 4)));
  EXPECT_TRUE(same_bits(at_step(Mode::evaluate, 3), at_step(Mode::evaluate, 4)));
}

TEST(ContractCodebookWeight, TableHoldsRanksAndFollowsTheWeights) {
  const SlotInfo slot = linear_weight_slot(2, 4);
  const at::Tensor w = values({1, 5, 2, 4, /**/ -8, -2, -4, -6}).reshape({2, 4});
  const auto weight =
      started(slot, w, {{"bits", std::int64_t{1}}, {"levels", std::string("codebook")}});
  const at::Tensor table = parameter(*weight, "table");
  EXPECT_TRUE(same_bits(table, values({1, 5, -8, -2}).reshape({2, 2})));

  // Midpoints 3 and -5: cells {1, 2}, {5, 4} and {-8, -6}, {-2, -4}.
  const at::Tensor forward = weight->forward(context_of(slot, Mode::train), w);
  EXPECT_TRUE(same_bits(forward, values({1, 5, 1, 5, /**/ -8, -2, -2, -8}).reshape({2, 4})));
  const at::Tensor moved = values({1.05F, 4.95F, -7.9F, -2.1F}).reshape({2, 2});
  EXPECT_LT((table - moved).abs().max().item<float>(), 1e-6F);
  const at::Tensor before = table.clone();
  weight->forward(context_of(slot, Mode::evaluate), w);
  weight->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_TRUE(same_bits(table, before));
}

TEST(ContractCodebookWeight, AnEntryThatStandsForNothingStays) {
  const SlotInfo slot = linear_weight_slot(1, 3);
  const at::Tensor w = values({1, 1, 1}).reshape({1, 3});
  const auto weight =
      started(slot, w, {{"bits", std::int64_t{2}}, {"levels", std::string("codebook")}});
  at::Tensor table = parameter(*weight, "table");
  table.copy_(values({-3, 0, 1, 7}).reshape({1, 4}));
  weight->forward(context_of(slot, Mode::train), w);
  EXPECT_TRUE(same_bits(table, values({-3, 0, 1, 7}).reshape({1, 4})));
}

TEST(ContractWeight, EvaluationForwardsWhatEncodeStores) {
  for (const std::string form : {"uniform", "codebook"}) {
    for (const std::int64_t bits : {1, 3, 8}) {
      for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
        const SlotInfo slot = conv_weight_slot(5, 7);
        const at::Tensor w = spread(slot.shape, 0.3).contiguous(format);
        const auto weight = started(slot, w, {{"bits", bits}, {"levels", form}});
        const SlotContext context = context_of(slot, Mode::evaluate);
        const Encoded encoded = weight->encode(context, w);
        EXPECT_EQ(encoded.encoding, weight->encoding(slot));
        EXPECT_EQ(why_invalid(encoded.encoding), "");
        EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context, w))) << form << " " << bits;
      }
    }
  }
}

TEST(ContractWeight, TraitsCarryFoldingCalibrationAndPhases) {
  const Traits none = make(weight_method())->traits();
  EXPECT_FALSE(none.fold_batch_norm);
  EXPECT_FALSE(none.needs_calibration);
  EXPECT_TRUE(none.phases.empty());
  const Traits all =
      make(weight_method(),
           {{"fold_batch_norm", true}, {"calibrate", true}, {"float_epochs", std::int64_t{2}}})
          ->traits();
  EXPECT_TRUE(all.fold_batch_norm);
  EXPECT_TRUE(all.needs_calibration);
  ASSERT_EQ(all.phases.size(), 2U);
  EXPECT_FALSE(all.phases[0].weights_quantized);
  EXPECT_EQ(all.phases[1].first_epoch, 2);
  EXPECT_TRUE(all.phases[1].weights_quantized);
}

TEST(ContractWeight, PhaseFloatDoesNotClip) {
  const SlotInfo slot = linear_weight_slot(1, 2);
  at::Tensor w = values({-3, 3}).reshape({1, 2});
  const auto weight = started(slot, w, {});
  SlotContext context = context_of(slot, Mode::train);
  context.phase = "float";
  weight->after_step(context, w);
  EXPECT_TRUE(same_bits(w, values({-3, 3}).reshape({1, 2})));
  context.phase = "quantized";
  weight->after_step(context, w);
  EXPECT_TRUE(same_bits(w, values({-1, 1}).reshape({1, 2})));
}

TEST(ContractWeight, AStochasticCodebookIsRefused) {
  try {
    make(weight_method(), {{"levels", std::string("codebook")}, {"stochastic", true}});
    FAIL() << "accepted";
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "stochastic");
    EXPECT_THAT(error.what(), HasSubstr("but levels = \"codebook\""));
    EXPECT_THAT(error.what(), HasSubstr("help: set levels = \"uniform\" or stochastic = false"));
  }
}

std::unique_ptr<InputQuantizer> started(const SlotInfo& slot, const Given& given) {
  auto input = make(input_method(), given)->input(slot);
  if (input) input->initialize(context_of(slot, Mode::train));
  return input;
}

TEST(ContractInput, UnsignedCodesCarryTheStep) {
  const SlotInfo slot = input_slot(Op::linear, {5});
  const auto input = started(slot, {{"bits", std::int64_t{2}}});
  EXPECT_EQ(input->range(), InputRange::non_negative);
  parameter(*input, "step").fill_(0.5);
  const at::Tensor x = values({-1, 0.2F, 0.3F, 1.1F, 9}).reshape({1, 5});
  const at::Tensor expected = values({0, 0, 0.5F, 1, 1.5F}).reshape({1, 5});
  const QuantizedInput forward = input->forward(context_of(slot, Mode::train), x);
  EXPECT_TRUE(same_bits(forward.value.add(0), expected));
  EXPECT_FALSE(forward.output_scale.defined());
  const EncodedInput encoded = input->encode(context_of(slot, Mode::evaluate), x);
  EXPECT_EQ(encoded.codes.encoding, Encoding::uniform(2, ScaleKind::tensor, ZeroPointKind::none));
  EXPECT_FALSE(encoded.codes.zero_point.defined());
}

TEST(ContractInput, PositionScaleIsTheWindowsMeanMagnitude) {
  SlotInfo slot = input_slot(Op::conv2d, {2, 3, 3});
  slot.kernel = 3;
  slot.stride = 2;
  slot.padding = 1;
  const auto input = started(slot, {{"position_scale", true}});
  parameter(*input, "step").fill_(0.25);
  parameter(*input, "magnitude").fill_(2);
  const at::Tensor x = spread({2, 2, 3, 3}, 3);
  const QuantizedInput got = input->forward(context_of(slot, Mode::evaluate), x);
  ASSERT_EQ(got.output_scale.sizes(), at::IntArrayRef({2, 1, 2, 2}));
  const auto value = x.accessor<float, 4>();
  for (int n = 0; n < 2; ++n) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        double sum = 0;  // zeros outside the image
        for (int r = std::max(0, 2 * i - 1); r <= std::min(2, 2 * i + 1); ++r) {
          for (int c = std::max(0, 2 * j - 1); c <= std::min(2, 2 * j + 1); ++c) {
            sum += std::fabs(value[n][0][r][c]) + std::fabs(value[n][1][r][c]);
          }
        }
        const double k = sum / 18;
        EXPECT_NEAR(got.output_scale[n][0][i][j].item<double>(), 0.25 * (1 + k / 2) / 2, 1e-6);
      }
    }
  }
}

TEST(ContractInput, EvaluationForwardsWhatEncodeStores) {
  for (const bool signed_values : {false, true}) {
    for (const bool position : {false, true}) {
      for (const Op op : {Op::conv2d, Op::linear, Op::add}) {
        const bool image = op != Op::linear;
        SlotInfo slot = input_slot(
            op, image ? std::vector<std::int64_t>{3, 4, 4} : std::vector<std::int64_t>{12});
        slot.padding = 1;
        slot.kernel = 3;
        const auto input = started(
            slot,
            {{"signed_values", signed_values}, {"position_scale", position}, {"joins", true}});
        const at::Tensor x = image ? spread({2, 3, 4, 4}, 2) : spread({2, 12}, 2);
        const SlotContext context = context_of(slot, Mode::evaluate);
        const EncodedInput encoded = input->encode(context, x);
        const QuantizedInput forward = input->forward(context, x);
        EXPECT_EQ(encoded.codes.encoding, input->encoding(slot));
        EXPECT_EQ(why_invalid(encoded.codes.encoding), "");
        EXPECT_TRUE(same_bits(decode(encoded.codes, 1).add(0), forward.value.add(0)));
        const bool per_position = position && op != Op::add;
        EXPECT_EQ(encoded.codes.encoding.scale,
                  per_position ? ScaleKind::position : ScaleKind::tensor);
        ASSERT_EQ(encoded.output_scale.defined(), per_position);
        ASSERT_EQ(forward.output_scale.defined(), per_position);
        if (!per_position) continue;
        EXPECT_TRUE(same_bits(encoded.output_scale, forward.output_scale));
      }
    }
  }
}

TEST(ContractInput, CalibrationAveragesBatchesAndTrainingFollows) {
  const SlotInfo slot = input_slot(Op::linear, {2});
  const auto input = started(slot, {{"calibrate", true}, {"bits", std::int64_t{2}}});
  const SlotContext context = context_of(slot, Mode::calibrate);
  input->observe(context, values({1, -1}).reshape({1, 2}));
  input->observe(context, values({2, 6}).reshape({1, 2}));
  EXPECT_FLOAT_EQ(parameter(*input, "magnitude").item<float>(), 2.5F);
  EXPECT_FLOAT_EQ(parameter(*input, "batches").item<float>(), 2.0F);
  EXPECT_FLOAT_EQ(parameter(*input, "step").item<float>(),
                  static_cast<float>(2 * 2.5 / std::sqrt(3.0)));

  const at::Tensor x = values({7.5F, 7.5F}).reshape({1, 2});
  input->forward(context_of(slot, Mode::evaluate), x);
  input->encode(context_of(slot, Mode::evaluate), x);
  EXPECT_FLOAT_EQ(parameter(*input, "magnitude").item<float>(), 2.5F);
  input->forward(context_of(slot, Mode::train), x);
  EXPECT_FLOAT_EQ(parameter(*input, "magnitude").item<float>(), 3.0F);
}

TEST(ContractInput, StepLearnsThroughValueAndOutputScaleAlike) {
  // The derivative of the product value * output_scale is the same for either place of the step.
  const SlotInfo slot = input_slot(Op::linear, {6});
  const at::Tensor x = values({0.1F, 0.4F, 0.9F, 1.2F, 2.6F, 9}).reshape({1, 6});
  const at::Tensor g = values({1, -2, 3, -4, 5, -6}).reshape({1, 6});
  std::vector<double> gradients;
  for (const bool position : {false, true}) {
    const auto input = started(slot, {{"position_scale", position}, {"bits", std::int64_t{2}}});
    at::Tensor step = parameter(*input, "step");
    step.fill_(0.8).set_requires_grad(true);
    parameter(*input, "magnitude").copy_(x.abs().mean());  // so that K/m = 1
    const QuantizedInput q = input->forward(context_of(slot, Mode::train), x);
    at::Tensor sum = (q.value * g).sum();
    if (position) sum = sum * q.output_scale.reshape({});
    sum.backward();
    gradients.push_back(step.grad().item<double>());
  }
  EXPECT_NE(gradients[0], 0.0);
  EXPECT_NEAR(gradients[0], gradients[1], 1e-5 * std::fabs(gradients[0]));
}

TEST(ContractInput, JoinsAreQuantizedOnRequestOnly) {
  const SlotInfo add = input_slot(Op::add, {3, 4, 4});
  EXPECT_EQ(started(add, {}), nullptr);
  EXPECT_NE(started(add, {{"joins", true}}), nullptr);
  EXPECT_EQ(make(input_method())->weight(conv_weight_slot(1, 1)), nullptr);
  EXPECT_EQ(make(weight_method())->input(add), nullptr);
}

}  // namespace
}  // namespace qhost::contract
