// The method `ternary`, through what its plugin registers.
#include "golden_cases.h"
#include "plugin_method.h"
#include "slots.h"

namespace qhost::ternary {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::expect_each_code;
using test::latent_gradient;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::stored;
using test::values;

const QuantizerMethod& method() {
  return test::plugin_method("ternary");
}

using Given = std::map<std::string, OptionValue>;

std::unique_ptr<WeightQuantizer> slot_object(const SlotInfo& slot, const Given& given = {}) {
  return make(method(), given)->weight(slot);
}

const Given per_filter = {{"scale_per", std::string("filter")}};

TEST(Ternary, EqualsTheIndependentImplementation) {
  const auto cases = test::golden_cases("ternary");
  ASSERT_EQ(cases.size(), 8U);
  for (const auto& which : cases) {
    const at::Tensor w = test::golden_tensor(which, "input");
    const SlotInfo slot = test::golden_weight_slot(w);
    const auto weight = slot_object(slot, test::golden_options(which));
    const SlotContext context = context_of(slot, Mode::train);
    EXPECT_TRUE(same_bits(weight->forward(context, w), test::golden_tensor(which, "value").add(0)))
        << which["options"];
    EXPECT_TRUE(
        same_bits(latent_gradient(*weight, context, w, test::golden_tensor(which, "upstream")),
                  test::golden_tensor(which, "gradient")));
  }
}

TEST(Ternary, ThresholdIsOutsideAndTheScaleIsTheMeanOfWhatIsKept) {
  const SlotInfo slot = linear_weight_slot(1, 8);
  // Mean |W| = 2, so with factor 1 the threshold is 2: weights of that magnitude become 0.
  const at::Tensor w = values({4, -3, 2, -2, 1, 0.0F, -0.0F, 4}).reshape({1, 8});
  const Given given = {{"factor", 1.0}};
  const float a = 11.0F / 3;
  EXPECT_TRUE(same_bits(slot_object(slot, given)->forward(context_of(slot, Mode::train), w),
                        values({a, -a, 0, 0, 0, 0, 0, a}).reshape({1, 8})));
}

TEST(Ternary, LayerAndFilterShareWhatTheirNamesSay) {
  const SlotInfo slot = linear_weight_slot(2, 2);
  const at::Tensor w = values({8, 4, /**/ 1, -1}).reshape({2, 2});
  const SlotContext context = context_of(slot, Mode::evaluate);
  // Per layer: threshold 0.7 * 3.5. Per filter: 0.7 * 6 and 0.7 * 1.
  EXPECT_TRUE(
      same_bits(slot_object(slot)->forward(context, w), values({6, 6, 0, 0}).reshape({2, 2})));
  EXPECT_TRUE(same_bits(slot_object(slot, per_filter)->forward(context, w),
                        values({8, 0, 1, -1}).reshape({2, 2})));
  EXPECT_EQ(slot_object(slot)->encode(context, w).scale.dim(), 0);
  EXPECT_TRUE(same_bits(slot_object(slot, per_filter)->encode(context, w).scale, values({8, 1})));
}

TEST(Ternary, AGroupWithoutAWeightBeyondItsThresholdIsZero) {
  const SlotInfo slot = linear_weight_slot(2, 3);
  const at::Tensor w = values({0, 0, 0, /**/ 5, -5, 5}).reshape({2, 3});
  const Given given = {{"scale_per", std::string("filter")}, {"factor", 1.0}};
  const Encoded encoded = slot_object(slot, given)->encode(context_of(slot, Mode::evaluate), w);
  EXPECT_TRUE(same_bits(encoded.scale, values({0, 0})));
  EXPECT_TRUE(same_bits(decode(encoded), at::zeros({2, 3})));
}

TEST(Ternary, EvaluationForwardsWhatEncodeStoresAndReachesEveryLevel) {
  for (const Given& given : {Given{}, per_filter}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const SlotInfo slot = conv_weight_slot(6, 5);
      const at::Tensor w = spread(slot.shape, 0.7).contiguous(format);
      const auto weight = slot_object(slot, given);
      expect_each_code(stored(*weight, slot, w), 3);
      EXPECT_EQ(weight->forward(context_of(slot, Mode::evaluate), w).strides(), w.strides());
    }
  }
}

TEST(Ternary, LayoutDoesNotChangeTheValues) {
  const SlotInfo slot = conv_weight_slot(24, 64);
  const at::Tensor w = spread(slot.shape, 0.1);
  for (const Given& given : {Given{}, per_filter}) {
    const auto weight = slot_object(slot, given);
    const SlotContext context = context_of(slot, Mode::train);
    EXPECT_TRUE(same_bits(weight->forward(context, w.contiguous(at::MemoryFormat::ChannelsLast)),
                          weight->forward(context, w)));
  }
}

TEST(Ternary, QuantizesTheWeightsOfAllLayersAndRefusesUnknownWords) {
  const QuantizerMethod m = method();
  EXPECT_EQ(m.name, "ternary");
  EXPECT_TRUE(m.keep_float.empty());
  EXPECT_EQ(m.roles, std::vector<Role>{Role::weight});
  EXPECT_THROW(make(m, {{"factor", -0.1}}), OptionError);
  EXPECT_THROW(make(m, {{"scale_per", std::string("channel")}}), OptionError);
  EXPECT_EQ(make(m)->input(linear_weight_slot(1, 1)), nullptr);
}

}  // namespace
}  // namespace qhost::ternary
