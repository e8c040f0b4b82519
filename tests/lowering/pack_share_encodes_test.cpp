#include "lowering/pack/passes/share_encodes.h"

#include "lowering/pack/passes/drop_dead_steps.h"
#include "pack_support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;

TEST(ShareEncodes, KeepsOneOfEqualStepsOnOneValue) {
  Program program =
      program_of({{3}}, {encode("a", 0, binary(), {0.5F}), encode("b", 0, binary(), {0.5F}),
                         encode("other", 0, binary(), {0.25F}), step("da", StepOp::decode, {1}),
                         step("db", StepOp::decode, {2}), step("dother", StepOp::decode, {3}),
                         step("sum", StepOp::add, {4, 5, 6})});
  const Program before = program;
  packing::share_encodes(program);
  packing::drop_dead_steps(program);
  EXPECT_THAT(lines(program),
              ElementsAre("x:", "a: x", "other: x", "da: a", "dother: other", "sum: da da dother"));
  expect_same_outputs(before, program, {0.5F, 0.25F});
}

TEST(ShareEncodes, KeepsStepsWithOtherDirectionsOrCodes) {
  Program program = program_of(
      {{2}}, {encode("a", 0, binary(), {0.5F, 0.5F}), encode("b", 0, binary(), {0.5F, 0.5F}),
              encode("c", 0, uniform(1), {0.5F, 0.5F}), step("da", StepOp::decode, {1}),
              step("db", StepOp::decode, {2}), step("dc", StepOp::decode, {3}),
              step("sum", StepOp::add, {4, 5, 6})});
  program.steps[2].direction = {1, -1};
  const Program before = program;
  packing::share_encodes(program);
  packing::drop_dead_steps(program);
  EXPECT_EQ(lines(program), lines(before));
}

TEST(DropDeadSteps, KeepsTheInputAndWhatTheOutputReads) {
  Program program = program_of({{2}}, {affine("dead", 0, {2}, {1}), affine("a", 0, {2}, {1}),
                                       affine("dead too", 2, {2}, {1}), affine("b", 2, {3}, {1}),
                                       affine("behind", 4, {3}, {1})});
  program.output = 4;
  packing::drop_dead_steps(program);
  EXPECT_THAT(lines(program), ElementsAre("x:", "a: x", "b: a"));
  EXPECT_EQ(program.output, 2);
  program.output = 0;
  packing::drop_dead_steps(program);
  EXPECT_THAT(lines(program), ElementsAre("x:"));
}

}  // namespace
}  // namespace qhost::test
