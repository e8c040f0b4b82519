#include "plugins/ptq/fixed_point.h"

#include <cmath>
#include <limits>

#include "plugins/ptq/exponent.h"
#include "ptq_golden.h"

namespace qhost::ptq {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;
using testing::HasSubstr;

Given options(std::int64_t bits, const std::string& scope, const std::string& training = "float") {
  return {{"bits", bits}, {"scope", scope}, {"training", training}};
}

std::unique_ptr<WeightQuantizer> slot_object(const SlotInfo& slot, const Given& given) {
  return make(fixed_point_method(), given)->weight(slot);
}

SlotInfo slot_of(const at::Tensor& w) {
  return w.dim() == 4 ? conv_weight_slot(w.size(0), w.size(1), w.size(2))
                      : linear_weight_slot(w.size(0), w.size(1));
}

at::Tensor powers(const std::vector<int>& exponents) {
  std::vector<float> list;
  for (const int v : exponents) list.push_back(std::ldexp(1.0F, v));
  return values(list);
}

TEST(PtqFixedPoint, EachScopeFindsTheExponentThatAnExhaustiveSearchFinds) {
  const json document = golden("fixed_point");
  std::vector<at::Tensor> weights;
  for (const json& recipe : document["weights"]) weights.push_back(made(recipe));
  for (const json& which : document["cases"]) {
    const auto bits = which["bits"].get<std::int64_t>();
    const auto quantizer = make(fixed_point_method(), options(bits, "network"));
    std::vector<SlotInfo> slots;
    std::vector<std::unique_ptr<WeightQuantizer>> network;
    for (const at::Tensor& w : weights) {
      slots.push_back(slot_of(w));
      network.push_back(quantizer->weight(slots.back()));
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      network[i]->initialize(context_of(slots[i], Mode::train), weights[i]);
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const SlotContext context = context_of(slots[i], Mode::evaluate);
      const auto scale = [&](const std::string& scope) {
        return slot_object(slots[i], options(bits, scope))->encode(context, weights[i]).scale;
      };
      EXPECT_TRUE(same_bits(network[i]->encode(context, weights[i]).scale,
                            powers({which["network"].get<int>()}).reshape({})))
          << bits;
      EXPECT_TRUE(same_bits(scale("layer"), powers({which["layer"][i].get<int>()}).reshape({})))
          << bits;
      EXPECT_TRUE(same_bits(scale("channel"), powers(which["channel"][i].get<std::vector<int>>())))
          << bits;
      if (bits == 1) continue;
      const Encoded encoded =
          slot_object(slots[i], options(bits, "layer"))->encode(context, weights[i]);
      const at::Tensor level = levels(encoded).reshape({-1});
      for (std::size_t k = 0; k < which["layer_codes"][i].size(); ++k) {
        ASSERT_EQ(level[static_cast<std::int64_t>(k)].item<float>(),
                  which["layer_codes"][i][k].get<float>());
      }
    }
  }
}

TEST(PtqFixedPoint, RoundsHalfToEvenAndSaturatesAtTheLowestAndHighestInteger) {
  // At 2^0 no value saturates with 3 bits, and no finer step is better.
  const SlotInfo slot = linear_weight_slot(1, 8);
  const at::Tensor w = values({-4, 3, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5}).reshape({1, 8});
  const auto weight = slot_object(slot, options(3, "layer"));
  const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_EQ(encoded.scale.item<float>(), 1.0F);
  EXPECT_EQ(encoded.zero_point.item<int>(), 8);  // 4 whole steps
  EXPECT_TRUE(same_bits(decode(encoded), values({-4, 3, 0, 2, 2, 0, -2, -2}).reshape({1, 8})));
}

TEST(PtqFixedPoint, OneBitTakesThePowerOfTwoNearestToTheMeanMagnitude) {
  const auto step = [](const std::vector<float>& list) {
    const SlotInfo slot = linear_weight_slot(1, static_cast<std::int64_t>(list.size()));
    const at::Tensor w = values(list).reshape({1, -1});
    return slot_object(slot, options(1, "layer"))
        ->encode(context_of(slot, Mode::evaluate), w)
        .scale.item<float>();
  };
  EXPECT_EQ(step({1.4F, -1.4F}), 1.0F);
  EXPECT_EQ(step({1.6F, -1.6F}), 2.0F);
  EXPECT_EQ(step({1.5F, -1.5F}), 2.0F);  // as near to 1 as to 2
  EXPECT_EQ(step({0, -0.5F}), 0.25F);
  const SlotInfo slot = linear_weight_slot(1, 4);
  const at::Tensor w = values({-0.0F, 0, -3, 1}).reshape({1, 4});
  const Encoded encoded =
      slot_object(slot, options(1, "layer"))->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_EQ(encoded.encoding, Encoding::binary(ScaleKind::tensor));
  EXPECT_TRUE(same_bits(decode(encoded), values({1, 1, -1, 1}).reshape({1, 4})));
}

TEST(PtqFixedPoint, EvaluationAndQuantizedTrainingForwardWhatEncodeStores) {
  for (std::int64_t bits = 1; bits <= 8; ++bits) {
    for (const std::string scope : {"network", "layer", "channel"}) {
      for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
        const SlotInfo slot = conv_weight_slot(5, 7);
        at::Tensor w = spread(slot.shape, 0.3).contiguous(format);
        const at::Tensor before = w.clone();
        const auto weight = slot_object(slot, options(bits, scope, "quantized"));
        weight->initialize(context_of(slot, Mode::train), w);
        const Encoded encoded = weight->encode(context_of(slot, Mode::evaluate), w);
        EXPECT_EQ(encoded.encoding, weight->encoding(slot));
        EXPECT_EQ(why_invalid(encoded.encoding), "");
        for (const Mode mode : {Mode::train, Mode::evaluate}) {
          EXPECT_TRUE(same_bits(decode(encoded), weight->forward(context_of(slot, mode), w)))
              << bits << scope;
        }
        EXPECT_TRUE(same_bits(w, before));
      }
    }
  }
}

TEST(PtqFixedPoint, EveryLevelIsReachable) {
  const SlotInfo slot = linear_weight_slot(1, 4001);
  const at::Tensor w = at::linspace(-1, 1, 4001, at::kFloat).reshape({1, -1});
  for (std::int64_t bits = 1; bits <= 8; ++bits) {
    const Encoded encoded =
        slot_object(slot, options(bits, "layer"))->encode(context_of(slot, Mode::evaluate), w);
    const at::Tensor uses = at::bincount(encoded.codes.reshape({-1}).to(at::kLong));
    EXPECT_EQ(uses.numel(), 1 << bits);
    EXPECT_GT(uses.min().item<std::int64_t>(), 0) << bits;
  }
}

TEST(PtqFixedPoint, TrainsInFloatUnlessToldOtherwise) {
  const SlotInfo slot = linear_weight_slot(1, 4);
  const at::Tensor w = values({0.3F, -0.7F, 0.1F, 0.9F}).reshape({1, 4});
  const SlotContext context = context_of(slot, Mode::train);
  EXPECT_TRUE(same_bits(slot_object(slot, options(2, "layer"))->forward(context, w), w));
  EXPECT_FALSE(
      same_bits(slot_object(slot, options(2, "layer", "quantized"))->forward(context, w), w));
}

TEST(PtqFixedPoint, GradientStopsWhereTheCodeSaturates) {
  // 198 ones outweigh 9 and -9, which saturate at 2^0: codes -2 .. 1.
  std::vector<float> list(200, 1.0F);
  list[0] = 9;
  list[1] = -9;
  const SlotInfo slot = linear_weight_slot(1, 200);
  const at::Tensor w = values(list).reshape({1, 200});
  const at::Tensor g = at::ones({1, 200});
  const at::Tensor gradient = latent_gradient(*slot_object(slot, options(2, "layer", "quantized")),
                                              context_of(slot, Mode::train), w, g);
  const at::Tensor code = slot_object(slot, options(2, "layer"))
                              ->encode(context_of(slot, Mode::evaluate), w)
                              .codes.to(at::kFloat);
  EXPECT_EQ(gradient[0][0].item<float>(), 0.0F) << code;
  EXPECT_EQ(gradient[0][1].item<float>(), 0.0F);
  EXPECT_EQ(gradient.sum().item<float>(), 198.0F);
  EXPECT_TRUE(same_bits(latent_gradient(*slot_object(slot, options(1, "layer", "quantized")),
                                        context_of(slot, Mode::train), w, g),
                        g));
}

TEST(PtqFixedPoint, TheNetworksExponentFollowsTheWeightsAndStandsInTheCheckpoint) {
  const auto quantizer = make(fixed_point_method(), options(4, "network"));
  EXPECT_TRUE(quantizer->traits().needs_calibration);
  EXPECT_FALSE(make(fixed_point_method(), options(4, "layer"))->traits().needs_calibration);
  const SlotInfo slot = linear_weight_slot(2, 8);
  const SlotContext train = context_of(slot, Mode::train);
  const auto a = quantizer->weight(slot), b = quantizer->weight(slot);
  at::Tensor small = spread(slot.shape, 0.01), large = spread(slot.shape, 8, 2);
  a->initialize(train, small);
  EXPECT_EQ(parameter(*a, "known").item<float>(), 0.0F);
  b->initialize(train, large);
  const at::Tensor both = at::cat({small.reshape({1, -1}), large.reshape({1, -1})}, 1);
  const auto exponent = [](WeightQuantizer& w) {
    return static_cast<int>(parameter(w, "exponent").item<float>());
  };
  EXPECT_EQ(exponent(*a), best_exponents(both, 4).front());
  EXPECT_EQ(exponent(*b), exponent(*a));

  const int before = exponent(*a);
  large.mul_(0.25);
  a->after_step(train, small);
  EXPECT_EQ(exponent(*a), before);  // only after both have reported
  b->after_step(train, large);
  EXPECT_EQ(exponent(*a), before - 2);
  large.mul_(4);
  a->observe(context_of(slot, Mode::calibrate), small);
  b->observe(context_of(slot, Mode::calibrate), large);
  EXPECT_EQ(exponent(*a), before);

  // A resumed run has only the state.
  const auto other = make(fixed_point_method(), options(4, "network"));
  const auto resumed = other->weight(slot), second = other->weight(slot);
  for (const char* name : {"exponent", "known"}) {
    parameter(*resumed, name).copy_(parameter(*a, name));
  }
  const SlotContext context = context_of(slot, Mode::evaluate);
  EXPECT_TRUE(
      same_bits(decode(resumed->encode(context, small)), decode(a->encode(context, small))));
}

TEST(PtqFixedPoint, OneBitOfZerosAloneIsTheSmallestStep) {
  const SlotInfo slot = conv_weight_slot(3, 2);
  const SlotContext context = context_of(slot, Mode::evaluate);
  const at::Tensor w = spread(slot.shape, 1);
  const at::Tensor lively = slot_object(slot, options(1, "channel"))->encode(context, w).scale;
  w[1].zero_();
  const Encoded one_dead = slot_object(slot, options(1, "channel"))->encode(context, w);
  const float smallest = std::ldexp(1.0F, -126);
  EXPECT_EQ(one_dead.scale[1].item<float>(), smallest);
  EXPECT_EQ(one_dead.scale[0].item<float>(), lively[0].item<float>());
  EXPECT_EQ(one_dead.scale[2].item<float>(), lively[2].item<float>());
  const Encoded dead = slot_object(slot, options(1, "layer"))->encode(context, w.mul(0));
  EXPECT_EQ(dead.scale.item<float>(), smallest);
}

TEST(PtqFixedPoint, ComplaintsNameTheLayerAndBothNumbers) {
  const SlotInfo slot = conv_weight_slot(3, 2);
  const SlotContext context = context_of(slot, Mode::evaluate);
  at::Tensor w = spread(slot.shape, 1);
  const auto shared = make(fixed_point_method(), options(4, "network"));
  const auto first = shared->weight(slot), second = shared->weight(slot);
  first->initialize(context_of(slot, Mode::train), w);
  EXPECT_THAT(complaint(ErrorKind::internal, [&] { first->encode(context, w); }),
              testing::AllOf(HasSubstr("the weight of stage1.conv has no exponent yet: 1 of 2 "
                                       "layers of scope = \"network\" have shown their weights"),
                             HasSubstr("help: calibrate the network first")));

  w[1].zero_();
  EXPECT_TRUE(
      same_bits(decode(slot_object(slot, options(2, "channel"))->encode(context, w))[1], w[1]));

  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    w[2][0][1][1] = value;  // of a training that diverges: the search for a step comes to an end
    for (const int bits : {1, 8}) {
      slot_object(slot, options(bits, "layer"))->forward(context_of(slot, Mode::train), w);
      slot_object(slot, options(bits, "channel"))->forward(context_of(slot, Mode::train), w);
    }
  }
  EXPECT_EQ(refusal([] { make(fixed_point_method(), options(9, "layer")); }),
            "bits: 9 is above the maximum 8");
  EXPECT_EQ(make(fixed_point_method())->input(slot), nullptr);
}

}  // namespace
}  // namespace qhost::ptq
