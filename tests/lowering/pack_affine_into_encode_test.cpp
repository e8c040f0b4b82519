#include "lowering/pack/passes/affine_into_encode.h"

#include <limits>

#include "lowering/pack/float_order.h"
#include "lowering/pack/passes/drop_dead_steps.h"
#include "pack_support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;

constexpr float infinity = std::numeric_limits<float>::infinity();

Program passed(Program program) {
  packing::affine_into_encode(program);
  packing::drop_dead_steps(program);
  return program;
}

TEST(FloatOrder, CountsTheFloatsAndFindsTheFirst) {
  EXPECT_EQ(packing::order_of(0.0F), 0);
  EXPECT_EQ(packing::order_of(-0.0F), 0);
  EXPECT_EQ(packing::order_of(std::numeric_limits<float>::denorm_min()), 1);
  EXPECT_EQ(packing::order_of(-std::numeric_limits<float>::max()), -packing::largest_order);
  for (const float x : {1.0F, -1.0F, 1e-40F, -3e38F}) {
    EXPECT_EQ(packing::float_of(packing::order_of(x)), x);
    EXPECT_EQ(packing::float_of(packing::order_of(x) + 1), std::nextafter(x, infinity));
    EXPECT_EQ(packing::first_float([x](float each) { return each >= x; }), x);
  }
  EXPECT_EQ(packing::first_float([](float) { return true; }), -infinity);
  EXPECT_EQ(packing::first_float([](float) { return false; }), infinity);
  EXPECT_EQ(packing::first_float([](float x) { return x >= 0; }), 0.0F);
}

TEST(AffineIntoEncode, GivesARowAndADirectionToEachChannel) {
  const Program before =
      program_of({{4}}, {affine("bn", 0, {2.0F, -0.7F, 0.0F, 0.0F}, {1.0F, 0.3F, 0.2F, -1.0F}),
                         encode("e", 1, binary(), {0.125F}), step("d", StepOp::decode, {2})});
  const Program after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "e: x", "d: e"));
  const Step& e = at(after, "e");
  EXPECT_THAT(e.direction, ElementsAre(1, -1, 1, 1));
  ASSERT_EQ(e.thresholds.size(), 4U);
  EXPECT_EQ(e.thresholds[0], -0.4375F);
  EXPECT_NEAR(e.thresholds[1], -0.25F, 1e-6F);
  EXPECT_EQ(e.thresholds[2], -infinity);
  EXPECT_EQ(e.thresholds[3], infinity);
  expect_same_outputs(before, after, {-0.4375F, 0.25F, e.thresholds[1], -e.thresholds[1]});
}

TEST(AffineIntoEncode, ServesSeveralReadersOfUpToTwoBits) {
  const Program before =
      program_of({{2}}, {affine("bn", 0, {1.7F, -3.1F}, {0.01F, 100.0F}),
                         encode("e", 1, binary(), {-infinity}),
                         encode("f", 1, uniform(2), {-0.5F, 0.0F, 0.5F, -1.0F, 0.1F, 2.0F}),
                         step("de", StepOp::decode, {2}), step("df", StepOp::decode, {3}),
                         step("sum", StepOp::add, {4, 5})});
  const Program after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "e: x", "f: x", "de: e", "df: f", "sum: de df"));
  std::vector<float> seeds;
  for (const float t : at(after, "f").thresholds) seeds.insert(seeds.end(), {t, -t});
  expect_same_outputs(before, after, seeds);
}

TEST(AffineIntoEncode, TakesTwoInARow) {
  const Program before =
      program_of({{1}}, {affine("a", 0, {-1.5F}, {1.0F}), affine("b", 1, {0.3F}, {0.1F}),
                         encode("e", 2, binary(), {0.0F}), step("d", StepOp::decode, {3})});
  const Program after = passed(before);
  EXPECT_THAT(lines(after), ElementsAre("x:", "e: x", "d: e"));
  expect_same_outputs(before, after, {at(after, "e").thresholds[0], -at(after, "e").thresholds[0]});
}

TEST(AffineIntoEncode, LeavesMoreBitsAndOtherReaders) {
  const Program wide = program_of(
      {{1}}, {affine("bn", 0, {2}, {1}), encode("e", 1, uniform(3), {1, 2, 3, 4, 5, 6, 7}),
              step("d", StepOp::decode, {2})});
  EXPECT_EQ(lines(passed(wide)), lines(wide));
  const Program read =
      program_of({{1}}, {affine("bn", 0, {2}, {1}), encode("e", 1, binary(), {0}),
                         step("d", StepOp::decode, {2}), step("sum", StepOp::add, {1, 3})});
  EXPECT_EQ(lines(passed(read)), lines(read));
}

}  // namespace
}  // namespace qhost::test
