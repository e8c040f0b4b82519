// The method `xnornet`, through what its plugin registers.
#include "model/plan.h"
#include "plugin_method.h"
#include "qhost/error.h"
#include "slots.h"

namespace qhost::xnornet {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::input_slot;
using test::linear_weight_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::values;
using testing::HasSubstr;

const QuantizerMethod& method() {
  return test::plugin_method("xnornet");
}

using Given = std::map<std::string, OptionValue>;

SlotInfo conv_input(std::int64_t channels, std::int64_t size) {
  SlotInfo slot = input_slot(Op::conv2d, {channels, size, size});
  slot.kernel = 3;
  slot.padding = 1;
  return slot;
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(XnorNet, InputIsTheSignPlusOneAtBothZeros) {
  const SlotInfo slot = input_slot(Op::linear, {5});
  const auto input = make(method())->input(slot);
  const at::Tensor x = values({-2, 3, 0.0F, -0.0F, -1e-30F}).reshape({1, 5});
  const at::Tensor expected = values({-1, 1, 1, 1, -1}).reshape({1, 5});
  EXPECT_TRUE(same_bits(input->forward(context_of(slot, Mode::train), x).value, expected));
  const EncodedInput encoded = input->encode(context_of(slot, Mode::evaluate), x);
  EXPECT_TRUE(same_bits(levels(encoded.codes, 1), expected));
  EXPECT_EQ(input->range(), InputRange::signed_values);
}

TEST(XnorNet, GradientPassesUpToOneWithTheBoundInside) {
  const SlotInfo slot = input_slot(Op::linear, {6});
  const auto input = make(method(), Given{{"input_scale", std::string("none")}})->input(slot);
  const at::Tensor x = values({-1, 1, 1.0000001F, -1.5F, 0, 0.5F}).reshape({1, 6}).requires_grad_();
  const at::Tensor g = values({1, 2, 3, 4, 5, 6}).reshape({1, 6});
  (input->forward(context_of(slot, Mode::train), x).value * g).sum().backward();
  EXPECT_TRUE(same_bits(x.grad(), values({1, 2, 0, 0, 5, 6}).reshape({1, 6})));
}

TEST(XnorNet, KIsTheMeanMagnitudeUnderTheFilterZerosOutside) {
  const SlotInfo slot = conv_input(2, 3);
  const auto input = make(method())->input(slot);
  const at::Tensor x = spread({2, 2, 3, 3}, 2);
  const QuantizedInput forward = input->forward(context_of(slot, Mode::train), x);
  ASSERT_EQ(forward.output_scale.sizes(), at::IntArrayRef({2, 1, 3, 3}));
  for (const auto& [sample, row, column] : {std::tuple{0, 1, 1}, {1, 0, 0}, {1, 2, 1}}) {
    double sum = 0;
    for (int c = 0; c < 2; ++c) {
      for (int i = std::max(0, row - 1); i <= std::min(2, row + 1); ++i) {
        for (int j = std::max(0, column - 1); j <= std::min(2, column + 1); ++j) {
          sum += std::abs(x[sample][c][i][j].item<double>());
        }
      }
    }
    EXPECT_NEAR(forward.output_scale[sample][0][row][column].item<double>(), sum / 18, 1e-6);
  }
  const EncodedInput encoded = input->encode(context_of(slot, Mode::evaluate), x);
  EXPECT_TRUE(same_bits(encoded.output_scale, forward.output_scale));
  EXPECT_EQ(encoded.codes.encoding, Encoding::binary(ScaleKind::position));
  EXPECT_EQ(encoded.codes.encoding, input->encoding(slot));
}

TEST(XnorNet, WithoutKNothingScalesTheOutput) {
  const SlotInfo slot = conv_input(2, 3);
  const auto input = make(method(), Given{{"input_scale", std::string("none")}})->input(slot);
  const at::Tensor x = spread({1, 2, 3, 3}, 2);
  EXPECT_FALSE(input->forward(context_of(slot, Mode::train), x).output_scale.defined());
  EXPECT_FALSE(input->encode(context_of(slot, Mode::evaluate), x).output_scale.defined());
  EXPECT_EQ(input->encoding(slot), Encoding::binary(ScaleKind::none));
}

TEST(XnorNet, GradientThroughKOnlyWhereAskedFor) {
  const SlotInfo slot = input_slot(Op::linear, {4});
  const at::Tensor x = values({-4, 0.5F, 8, 0}).reshape({1, 4});
  for (const std::string kind : {"detached", "exact"}) {
    const at::Tensor leaf = x.clone().requires_grad_();
    const auto input = make(method(), Given{{"k_gradient", kind}})->input(slot);
    const QuantizedInput forward = input->forward(context_of(slot, Mode::train), leaf);
    EXPECT_EQ(forward.output_scale.item<float>(), 12.5F / 4);
    EXPECT_EQ(forward.output_scale.requires_grad(), kind == "exact");
    if (kind == "detached") continue;
    forward.output_scale.sum().backward();
    EXPECT_TRUE(same_bits(leaf.grad(), values({-0.25F, 0.25F, 0.25F, 0}).reshape({1, 4})));
  }
}

TEST(XnorNet, AuthorsCodeCentersOverTheInputChannelsAndClips) {
  const SlotInfo slot = linear_weight_slot(2, 4);
  const auto weight =
      make(method(), Given{{"gradient", std::string("authors_code")}})->weight(slot);
  at::Tensor w = values({1, 2, 3, 6, /**/ 0.5F, -0.5F, 0.25F, -0.25F}).reshape({2, 4});
  const at::Tensor expected =
      values({-1, -1, 0, 1, /**/ 0.5F, -0.5F, 0.25F, -0.25F}).reshape({2, 4});
  at::Tensor stepped = w.clone();
  weight->initialize(context_of(slot, Mode::train), w);
  weight->after_step(context_of(slot, Mode::train), stepped);
  EXPECT_TRUE(same_bits(w, expected));
  EXPECT_TRUE(same_bits(stepped, expected));
}

TEST(XnorNet, OtherGradientsLeaveTheLatentWeightsAlone) {
  const SlotInfo slot = conv_weight_slot(3, 2);
  const auto weight = make(method())->weight(slot);
  const at::Tensor w = spread(slot.shape, 3);
  at::Tensor changed = w.clone();
  weight->initialize(context_of(slot, Mode::train), changed);
  weight->after_step(context_of(slot, Mode::train), changed);
  EXPECT_TRUE(same_bits(changed, w));
}

TEST(XnorNet, ADepthwiseFilterCannotBeCentered) {
  SlotInfo slot = conv_weight_slot(8, 1);
  slot.groups = 8;
  const std::string text = error_of([&] {
    make(method(), Given{{"gradient", std::string("authors_code")}})->weight(slot);
  });
  EXPECT_THAT(text, HasSubstr("stage1.conv has 1 input channel per filter"));
  EXPECT_THAT(text, HasSubstr("help: keep it in float (keep_float)"));
}

TEST(XnorNet, KNeedsOneGroup) {
  SlotInfo slot = conv_input(8, 4);
  slot.groups = 4;
  const std::string text = error_of([&] { make(method())->input(slot); });
  EXPECT_THAT(text, HasSubstr("stage1.conv has 4 groups"));
  EXPECT_THAT(text, HasSubstr("help: set input_scale = \"none\""));
  EXPECT_NE(make(method(), Given{{"input_scale", std::string("none")}})->input(slot), nullptr);
}

TEST(XnorNet, TakesInputsOfConvolutionsAndLinearLayersOnly) {
  for (const Op op : {Op::add, Op::concat, Op::max_pool, Op::average_pool}) {
    EXPECT_EQ(make(method())->input(input_slot(op, {2, 3, 3})), nullptr) << to_string(op);
  }
  EXPECT_EQ(method().keep_float, (std::vector<std::string>{"first", "last"}));
  EXPECT_THROW(make(method(), Given{{"input_scale", std::string("mean")}}), OptionError);
}

TEST(XnorNet, ASignBehindAReluReadsWhatTheReluReads) {
  GraphBuilder g;
  Value x = g.input({{2, 4, 4}});
  Value y = g.relu("relu", g.batch_norm("norm", x));
  y = g.conv2d("conv", y, {.out_channels = 3, .kernel = 3, .padding = 1});
  y = g.linear("classify", g.global_average_pool("pool", y), {.out_features = 2});
  const Graph graph = g.finish(y, 2);
  MethodRule rule;
  rule.method = "xnornet";
  rule.quantizer = make(method());
  rule.offers = method().roles;
  rule.keep_float = std::vector<std::string>{"classify"};
  const Plan plan = make_plan(graph, {rule});
  const PlannedSlot* slot = plan.find(graph.find("conv")->id, Role::input);
  ASSERT_NE(slot, nullptr);
  ASSERT_TRUE(slot->elision.has_value());
  EXPECT_EQ(graph.node(slot->elision->source).name, "norm");
}

}  // namespace
}  // namespace qhost::xnornet
