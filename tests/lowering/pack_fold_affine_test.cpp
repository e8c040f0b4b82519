#include "lowering/pack/passes/fold_affine.h"

#include "lowering/pack/passes/drop_dead_steps.h"
#include "pack_support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;

Program passed(Program program) {
  packing::fold_affine(program);
  packing::drop_dead_steps(program);
  return program;
}

Program layer(std::vector<float> scale, std::vector<float> bias, std::vector<Step> behind) {
  Step conv_step = conv("conv", {0}, some_weight(binary(), {2, 1, 1, 1}));
  conv_step.scale = std::move(scale);
  conv_step.bias = std::move(bias);
  std::vector<Step> steps = {conv_step};
  for (Step& each : behind) steps.push_back(std::move(each));
  steps.push_back(step("flat", StepOp::flatten, {static_cast<int>(steps.size())}));
  return program_of({{1, 2, 2}}, std::move(steps));
}

TEST(FoldAffine, MultipliesInDoubleAndRoundsOnce) {
  const float s = 0.1F, d = 0.7F, a = 1.3F, b = -0.9F;
  const Program after =
      passed(layer({s, 2.0F}, {d, 0.0F}, {affine("bn", 1, {a, 1.0F}, {b, 1.0F})}));
  EXPECT_THAT(lines(after), ElementsAre("x:", "conv: x", "flat: conv"));
  EXPECT_THAT(after.steps[1].scale, ElementsAre(static_cast<float>(double{s} * a), 2.0F));
  EXPECT_THAT(after.steps[1].bias, ElementsAre(static_cast<float>(b + double{d} * a), 1.0F));
}

TEST(FoldAffine, FillsInWhatAStepHasNot) {
  EXPECT_THAT(passed(layer({}, {}, {affine("bn", 1, {3, 4}, {5, 6})})).steps[1].scale,
              ElementsAre(3, 4));
  const Program after = passed(layer({2}, {}, {affine("bn", 1, {3, 4}, {5, 6})}));
  EXPECT_THAT(after.steps[1].scale, ElementsAre(6, 8));
  EXPECT_THAT(after.steps[1].bias, ElementsAre(5, 6));
  expect_same_outputs(passed(after), after);
}

TEST(FoldAffine, TakesTwoInARow) {
  const Program after =
      passed(layer({}, {1}, {affine("a", 1, {2}, {1}), affine("b", 2, {4}, {0.5F})}));
  EXPECT_THAT(lines(after), ElementsAre("x:", "conv: x", "flat: conv"));
  EXPECT_THAT(after.steps[1].scale, ElementsAre(8));
  EXPECT_THAT(after.steps[1].bias, ElementsAre(12.5F));
}

TEST(FoldAffine, LeavesWhatOthersReadAndWhatIsNotFinite) {
  const Program read = layer({}, {}, {affine("bn", 1, {2}, {1}), step("sum", StepOp::add, {1, 2})});
  EXPECT_EQ(lines(passed(read)), lines(read));
  const Program large = layer({1e30F}, {}, {affine("bn", 1, {1e30F}, {0})});
  EXPECT_EQ(lines(passed(large)), lines(large));
}

}  // namespace
}  // namespace qhost::test
