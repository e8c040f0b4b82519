#include "lowering/pack/passes/clip_into_encode.h"

#include <limits>

#include "lowering/pack/passes/drop_dead_steps.h"
#include "pack_support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;

constexpr float infinity = std::numeric_limits<float>::infinity();

Program clipped(Activation kind, std::vector<float> thresholds) {
  return program_of({{4}},
                    {activation("act", 0, kind), encode("e", 1, uniform(2), std::move(thresholds)),
                     step("d", StepOp::decode, {2})});
}

Program passed(Program program) {
  packing::clip_into_encode(program);
  packing::drop_dead_steps(program);
  return program;
}

TEST(ClipIntoEncode, MovesAReluIntoTheThresholds) {
  const Program before = clipped(Activation::relu, {0.0F, 0.5F, 1.5F}), after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "e: x", "d: e"));
  EXPECT_THAT(at(after, "e").thresholds, ElementsAre(-infinity, 0.5F, 1.5F));
  expect_same_outputs(before, after, {0.0F, -0.0F, 0.5F, 1.5F});
}

TEST(ClipIntoEncode, KnowsBothEndsOfRelu6AndHardtanh) {
  const Program relu6 = clipped(Activation::relu6, {-1.0F, 6.0F, 6.5F});
  EXPECT_THAT(at(passed(relu6), "e").thresholds, ElementsAre(-infinity, 6.0F, infinity));
  expect_same_outputs(relu6, passed(relu6), {-1.0F, 6.0F, 6.5F});
  const Program hardtanh = clipped(Activation::hardtanh, {-1.0F, -0.5F, 1.0F});
  EXPECT_THAT(at(passed(hardtanh), "e").thresholds, ElementsAre(-infinity, -0.5F, 1.0F));
  expect_same_outputs(hardtanh, passed(hardtanh), {-1.0F, -0.5F, 1.0F});
}

TEST(ClipIntoEncode, LooksThroughMaxPools) {
  Step pool = step("pool", StepOp::max_pool, {1});
  pool.kernel = pool.stride = 2;
  const Program before =
      program_of({{1, 4, 4}},
                 {activation("relu", 0, Activation::relu), pool, step("flat", StepOp::flatten, {2}),
                  encode("e", 3, binary(), {0.25F}), step("d", StepOp::decode, {4})});
  const Program after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "pool: x", "flat: pool", "e: flat", "d: e"));
  expect_same_outputs(before, after, {0.25F});
}

TEST(ClipIntoEncode, LeavesWhatOthersReadAndWhatBends) {
  const Program read =
      program_of({{2}}, {activation("relu", 0, Activation::relu), encode("e", 1, binary(), {0.5F}),
                         step("d", StepOp::decode, {2}), step("sum", StepOp::add, {1, 3})});
  EXPECT_EQ(lines(passed(read)), lines(read));
  const Program tanh = clipped(Activation::tanh, {0.1F, 0.5F, 0.75F});
  EXPECT_EQ(lines(passed(tanh)), lines(tanh));
}

}  // namespace
}  // namespace qhost::test
