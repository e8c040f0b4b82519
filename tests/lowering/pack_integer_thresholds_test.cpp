#include "lowering/pack/passes/integer_thresholds.h"

#include "lowering/pack/passes/drop_dead_steps.h"
#include "pack_support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;

Program passed(Program program) {
  packing::integer_thresholds(program);
  packing::drop_dead_steps(program);
  return program;
}

struct Layer {
  Codes input = binary(), weight = binary(), output = binary();
  std::vector<float> in_thresholds = {0.0F}, out_thresholds = {0.0F};
  std::vector<float> scale, bias;
  float padding_level = 0;
  bool all_ones = false;  ///< every code of the weight is 1
};

/// x -> encode -> conv -> behind... -> encode -> decode -> flat
Program program_with(const Layer& layer, std::vector<Step> behind) {
  const StoredTensor weight =
      layer.all_ones ? weight_of(layer.weight, {4, 2, 3, 3}, std::vector<std::uint8_t>(72, 1))
                     : some_weight(layer.weight, {4, 2, 3, 3});
  Step conv_step = conv("conv", {1}, weight, 1);
  conv_step.scale = layer.scale;
  conv_step.bias = layer.bias;
  conv_step.padding_level = layer.padding_level;
  std::vector<Step> steps = {encode("in", 0, layer.input, layer.in_thresholds), conv_step};
  for (Step& each : behind) steps.push_back(std::move(each));
  const int last = static_cast<int>(steps.size());
  steps.push_back(encode("out", last, layer.output, layer.out_thresholds));
  steps.push_back(step("d", StepOp::decode, {last + 1}));
  steps.push_back(step("flat", StepOp::flatten, {last + 2}));
  return program_of({{2, 4, 4}}, std::move(steps));
}

void expect_fused(const Program& before) {
  const Program after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "in: x", "conv: in", "d: conv", "flat: d"));
  EXPECT_EQ(at(after, "conv").codes, at(before, "out").codes);
  EXPECT_TRUE(at(after, "conv").scale.empty() && at(after, "conv").bias.empty());
  expect_same_outputs(before, after);
}
void expect_left(const Program& before) {
  EXPECT_EQ(lines(passed(before)), lines(before));
}

TEST(IntegerThresholds, OfSignsBehindABatchNorm) {
  const Program before =
      program_with({.scale = {0.11F, 0.2F, 0.3F, 0.4F}},
                   {affine("bn", 2, {1.7F, -0.9F, 0.0F, 0.0F}, {0.35F, 0.61F, 0.1F, -0.1F})});
  expect_fused(before);
  const Program after = passed(before);
  const Step& fused = at(after, "conv");
  EXPECT_THAT(fused.direction, ElementsAre(1, -1, 1, 1));
  // fma(0.11 S, 1.7, 0.35) >= 0 for S >= -1.87; of a sum of 18 signs, padding being 0.
  EXPECT_THAT(fused.sum_thresholds, ElementsAre(-1, -3, -18, 19));
}

TEST(IntegerThresholds, AreWholeWhereALevelIsAHalf) {
  // The levels of two bits with 3 half steps: -1.5, -0.5, 0.5, 1.5.
  const Program before = program_with({.input = uniform(2, {3}),
                                       .output = uniform(2),
                                       .in_thresholds = {-1, 0, 1},
                                       .out_thresholds = {-1.3F, 0.0F, 2.5F}},
                                      {});
  expect_fused(before);
  EXPECT_THAT(at(passed(before), "conv").sum_thresholds,
              ElementsAre(-2, 0, 5, -2, 0, 5, -2, 0, 5, -2, 0, 5));
  EXPECT_TRUE(at(passed(before), "conv").direction.empty());
  expect_fused(
      program_with({.input = uniform(2, {3}),
                    .weight = uniform(3, {7}),
                    .in_thresholds = {-1, 0, 1},
                    .scale = {0.01F},
                    .bias = {0.1F, 0.2F, -0.3F, 0.05F}},
                   {activation("relu", 2, Activation::relu), affine("bn", 3, {-1.1F}, {0.1F})}));
}

/// Sums that floats round, where no kernel of integers compares them: 1400 terms of 127.5 * 127.5.
TEST(IntegerThresholds, AreLeftWhereNoKernelComparesThemExactly) {
  const auto program = [](const Codes& weight, const Codes& output, std::vector<float> thresholds,
                          std::int64_t channels) {
    std::vector<float> in_thresholds;
    for (int j = 0; j < 255; ++j) in_thresholds.push_back(static_cast<float>(j) - 127);
    std::vector<Step> steps = {encode("in", 0, uniform(8, {255}), in_thresholds),
                               conv("conv", {1}, some_weight(weight, {1, channels, 1, 1})),
                               encode("out", 2, output, std::move(thresholds)),
                               step("d", StepOp::decode, {3}), step("flat", StepOp::flatten, {4})};
    return program_of({{channels, 1, 1}}, std::move(steps));
  };
  const Codes halves = uniform(8, {255}), bytes = uniform(8, {256});
  expect_left(program(halves, binary(), {0.0F}, 1400));
  EXPECT_FALSE(at(passed(program(halves, binary(), {0.0F}, 200)), "conv").sum_thresholds.empty());
  EXPECT_FALSE(at(passed(program(bytes, binary(), {0.0F}, 1400)), "conv").sum_thresholds.empty());
  // More than two codes are found among floats.
  expect_left(program(bytes, uniform(2), {-5, 0, 5}, 1400));
}

TEST(IntegerThresholds, KnowThePaddingAndWhatIsMonotone) {
  expect_fused(program_with({.scale = {0.3F}, .padding_level = 1},
                            {activation("leaky", 2, Activation::leaky_relu, 0.1)}));
  expect_fused(program_with(
      {.output = uniform(4),
       .out_thresholds = {0.5F, 1, 1.5F, 2, 2.5F, 3, 3.5F, 4, 4.5F, 5, 5.5F, 6, 7, 8, 9}},
      {activation("relu6", 2, Activation::relu6)}));
  // Levels 1 to 4 and a padding of 0: 18 at least inside, 8 in a corner.
  expect_fused(program_with({.input = uniform(2, {-2}),
                             .in_thresholds = {-1, 0, 1},
                             .out_thresholds = {14},
                             .all_ones = true},
                            {}));
  expect_left(program_with({}, {activation("gelu", 2, Activation::gelu)}));
  expect_left(program_with({}, {activation("leaky", 2, Activation::leaky_relu, -0.1)}));
  expect_left(program_with({.padding_level = 0.25F}, {}));
}

TEST(IntegerThresholds, AreNotForNaNManyLevelsOrTables) {
  // An infinite y times 0.
  expect_left(program_with({.scale = {3e38F}}, {affine("bn", 2, {0.0F}, {0.0F})}));
  std::vector<float> many(31);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i);
  expect_left(program_with({.output = uniform(5), .out_thresholds = many}, {}));
  Codes table{.encoding = Encoding::codebook(2, ScaleKind::none, false), .table = {0.5F, 2}};
  expect_left(program_with({.input = table}, {}));
}

TEST(IntegerThresholds, AreNotForWhatOthersReadOrAPosition) {
  Program read = program_with({}, {affine("bn", 2, {2.0F}, {1.0F})});
  read.steps.push_back(step("flat2", StepOp::flatten, {3}));
  read.steps.back().shape = {{64}};
  read.steps.push_back(step("sum", StepOp::add, {6, 7}));
  read.steps.back().shape = {{64}};
  read.output = 8;
  ASSERT_EQ(packed::why_invalid(read), "");
  expect_left(read);
  Program position = program_with({}, {});
  position.step(2).position = true;
  position.step(2).inputs = {1, 0};
  ASSERT_EQ(packed::why_invalid(position), "");
  expect_left(position);
}

}  // namespace
}  // namespace qhost::test
