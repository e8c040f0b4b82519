#include "plugins/ptq/half.h"

#include <limits>

#include "ptq_golden.h"

namespace qhost::ptq {
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

const Given bf16 = {{"format", std::string("bf16")}};
const Given trains = {{"training", std::string("quantized")}};

TEST(PtqHalf, RoundsAsIeee754SaysAndOverflowsToInfinity) {
  const json document = golden("half");
  const at::Tensor x = floats(document["values"]);
  EXPECT_TRUE(same_bits(rounded(x, HalfFormat::fp16), floats(document["fp16"])));
  EXPECT_TRUE(same_bits(rounded(x, HalfFormat::bf16), floats(document["bf16"])));
  const at::Tensor edge = values({65504, 65519.996F, 65520});
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(same_bits(rounded(edge, HalfFormat::fp16), values({65504, 65504, infinity})));
}

TEST(PtqHalf, EvaluationForwardsWhatEncodeStores) {
  for (const auto& [given, encoding] :
       {std::pair{Given{}, Encoding::float16()}, std::pair{bf16, Encoding::bfloat16()}}) {
    const SlotInfo slot = conv_weight_slot(4, 3);
    const at::Tensor w = spread(slot.shape, 2).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor before = w.clone();
    const auto weight = make(half_method(), given)->weight(slot);
    const SlotContext context = context_of(slot, Mode::evaluate);
    const Encoded encoded = weight->encode(context, w);
    EXPECT_EQ(encoded.encoding, encoding);
    EXPECT_EQ(weight->encoding(slot), encoding);
    EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context, w)));
    EXPECT_FALSE(same_bits(decode(encoded), w));
    EXPECT_TRUE(same_bits(w, before));

    const SlotInfo edge = input_slot(Op::add, {3, 4, 4});
    const auto input = make(half_method(), given)->input(edge);
    const at::Tensor x = spread({2, 3, 4, 4}, 3);
    const EncodedInput got = input->encode(context_of(edge, Mode::evaluate), x);
    EXPECT_EQ(got.codes.encoding, input->encoding(edge));
    EXPECT_EQ(got.codes.encoding, encoding);
    EXPECT_TRUE(
        same_bits(decode(got.codes, 1), input->forward(context_of(edge, Mode::evaluate), x).value));
  }
}

TEST(PtqHalf, TrainsInFloatUnlessToldOtherwise) {
  const SlotInfo slot = linear_weight_slot(1, 3);
  const SlotInfo edge = input_slot(Op::linear, {3});
  const at::Tensor x = values({1.0001F, -0.3F, 7e4F}).reshape({1, 3});
  const at::Tensor g = values({1, 2, 3}).reshape({1, 3});
  const auto floats_only = make(half_method());
  EXPECT_TRUE(same_bits(floats_only->weight(slot)->forward(context_of(slot, Mode::train), x), x));
  EXPECT_TRUE(
      same_bits(floats_only->input(edge)->forward(context_of(edge, Mode::train), x).value, x));
  const auto quantized = make(half_method(), trains);
  const auto weight = quantized->weight(slot);
  EXPECT_TRUE(
      same_bits(weight->forward(context_of(slot, Mode::train), x), rounded(x, HalfFormat::fp16)));
  EXPECT_TRUE(same_bits(latent_gradient(*weight, context_of(slot, Mode::train), x, g), g));
  EXPECT_TRUE(same_bits(quantized->input(edge)->forward(context_of(edge, Mode::train), x).value,
                        rounded(x, HalfFormat::fp16)));
}

TEST(PtqHalf, AWeightThatOverflowsIsNamedWithBothNumbers) {
  const SlotInfo slot = linear_weight_slot(1, 3);
  const at::Tensor w = values({1, -7e4F, 65520}).reshape({1, 3});
  const std::string text = complaint(ErrorKind::diverged, [&] {
    make(half_method())->weight(slot)->encode(context_of(slot, Mode::evaluate), w);
  });
  EXPECT_THAT(text, HasSubstr("ptq_half: the weight of classify holds 2 of 3 values beyond the "
                              "largest one of fp16, 65504; the largest is 70000"));
  EXPECT_THAT(text, HasSubstr("help: set format = \"bf16\""));
  EXPECT_NO_THROW(
      make(half_method(), bf16)->weight(slot)->encode(context_of(slot, Mode::evaluate), w));

  w[0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(
      complaint(
          ErrorKind::diverged,
          [&] { make(half_method())->weight(slot)->encode(context_of(slot, Mode::evaluate), w); }),
      HasSubstr("the weight of classify holds values that are not finite, 1 of 3"));
}

TEST(PtqHalf, AnInputThatOverflowsIsNamedWithBothNumbers) {
  SlotInfo edge = input_slot(Op::add, {2});
  edge.edge = 1;
  const SlotContext context = context_of(edge, Mode::evaluate);
  at::Tensor x = values({-1e6F, 1, 65519, 65520}).reshape({2, 2});
  const std::string text =
      complaint(ErrorKind::diverged, [&] { make(half_method())->input(edge)->encode(context, x); });
  EXPECT_THAT(text, HasSubstr("ptq_half: input 1 of stage1.conv holds 2 of 4 values beyond the "
                              "largest one of fp16, 65504; the largest is 1e+06"));
  EXPECT_THAT(text, HasSubstr("help: set format = \"bf16\""));
  const auto wide = make(half_method(), bf16)->input(edge);
  EXPECT_TRUE(same_bits(wide->encode(context, x).codes.codes, rounded(x, HalfFormat::bf16)));

  x[0][0] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(complaint(ErrorKind::diverged, [&] { wide->encode(context, x); }),
              HasSubstr("input 1 of stage1.conv holds values that are not finite, 1 of 4"));
}

TEST(PtqHalf, TakesJoinsAndPoolsUnlessTheyAreSwitchedOff) {
  const auto takes = [](const Given& given, Op op) {
    return make(half_method(), given)->input(input_slot(op, {3, 4, 4})) != nullptr;
  };
  for (const Op op : {Op::add, Op::concat}) {
    EXPECT_TRUE(takes({}, op));
    EXPECT_FALSE(takes({{"joins", false}}, op));
    EXPECT_TRUE(takes({{"pools", false}}, op));
  }
  for (const Op op : {Op::max_pool, Op::average_pool, Op::global_average_pool}) {
    EXPECT_TRUE(takes({}, op));
    EXPECT_FALSE(takes({{"pools", false}}, op));
  }
  EXPECT_TRUE(takes({{"joins", false}, {"pools", false}}, Op::conv2d));
}

}  // namespace
}  // namespace qhost::ptq
