// qhost/stateless_quantizer.h: what follows from encoding(), encode() and gradient().
#include "qhost/stateless_quantizer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "qhost/error.h"
#include "qhost/ste.h"

namespace qhost {
namespace {

using testing::HasSubstr;

/// scale * sign(w), and a gradient that shows all that it is given.
class Scaled : public StatelessWeight {
 public:
  explicit Scaled(const Options& options) : factor_(options.real("factor")) {
    if (factor_ > 100) throw OptionError("factor", "factor is above 100");
  }
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::channel); }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot),
            .codes = ste::sign_codes(w).contiguous(),
            .scale = ste::filter_mean(at::abs(w))};
  }
  at::Tensor gradient(const SlotContext& context, const at::Tensor& w,
                      const at::Tensor& g) const override {
    if (context.step == 13) throw std::runtime_error("step 13");
    return g * w * factor_ + static_cast<double>(context.step);
  }

 private:
  double factor_;
};

class Sign : public StatelessWeight {
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }
  Encoded encode(const SlotContext& context, const at::Tensor& w) override {
    return {.encoding = encoding(*context.slot), .codes = ste::sign_codes(w)};
  }
};

const std::vector<Option> declared = {Option::real("factor", 2.0, "of the gradient")};

std::unique_ptr<Quantizer> scaled(double factor) {
  return stateless<Scaled>(Options::from(declared, {{"factor", factor}}));
}

SlotContext context_of(const SlotInfo& slot, std::int64_t step) {
  SlotContext context;
  context.slot = &slot;
  context.step = step;
  return context;
}

at::Tensor example() {
  return at::tensor({1.0F, -3.0F, 0.5F, 0.0F, -0.5F, 1.0F, 2.0F, -0.0F}, at::kFloat)
      .reshape({2, 2, 2, 1});
}

TEST(StatelessWeight, ForwardIsTheDecodedCodesInTheWeightsMemoryOrder) {
  const SlotInfo slot;
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const at::Tensor w = at::cat({example(), example()}, 1).contiguous(format);
    const auto weight = scaled(2)->weight(slot);
    for (const Mode mode : {Mode::train, Mode::evaluate}) {
      SlotContext context = context_of(slot, 1);
      context.mode = mode;
      const at::Tensor value = weight->forward(context, w);
      EXPECT_TRUE(at::equal(value, decode(weight->encode(context, w))));
      EXPECT_EQ(value.strides(), w.strides());
      EXPECT_FALSE(value.requires_grad());
    }
  }
}

TEST(StatelessWeight, TheGradientIsTheMethodsOfContextWeightAndOuterGradient) {
  const SlotInfo slot;
  const at::Tensor w = example().requires_grad_(true), g = example().flip(0) + 3;
  const auto weight = scaled(4)->weight(slot);
  weight->forward(context_of(slot, 5), w).backward(g);
  EXPECT_TRUE(at::equal(w.grad(), g * w.detach() * 4 + 5.0));
}

TEST(StatelessWeight, TheGradientIsStraightThroughByDefault) {
  const SlotInfo slot;
  const at::Tensor w = example().mul(7).requires_grad_(true), g = example().flip(0) + 3;
  const auto weight = stateless<Sign>({})->weight(slot);
  weight->forward(context_of(slot, 0), w).backward(g);
  EXPECT_TRUE(at::equal(w.grad(), g));
}

TEST(StatelessWeight, WhatTheGradientThrowsLeavesTheBackwardPass) {
  const SlotInfo slot;
  const auto weight = scaled(1)->weight(slot);
  const at::Tensor value = weight->forward(context_of(slot, 13), example().requires_grad_(true));
  EXPECT_THROW(value.sum().backward(), std::runtime_error);
}

TEST(StatelessWeight, AnUndefinedWeightIsRefused) {
  const SlotInfo slot;
  const auto weight = stateless<Sign>({})->weight(slot);
  try {
    weight->forward(context_of(slot, 0), at::Tensor());
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_THAT(error.what(), HasSubstr("the weight is undefined"));
  }
}

TEST(StatelessQuantizer, MakesAnObjectForEachSlotAndReadsTheOptionsAtOnce) {
  const auto quantizer = scaled(2);
  EXPECT_NE(quantizer->weight({}).get(), quantizer->weight({}).get());
  EXPECT_EQ(quantizer->input({}), nullptr);
  EXPECT_TRUE(quantizer->weight({})->parameters().empty());
  EXPECT_THROW(scaled(101), OptionError);
}

}  // namespace
}  // namespace qhost
