// The rules of the MicroNet challenge: storage, widths, counts, the freebie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/score_networks.h"

namespace qhost::report {
namespace {

using Plans = std::map<std::string, LayerPlan>;

Encoding integer(int bits, ScaleKind scale = ScaleKind::none) {
  return Encoding::uniform(bits, scale, ZeroPointKind::none);
}

Score micronet(const Graph& graph, const Plans& plans = {}, ScoreRule rule = ScoreRule::micronet) {
  return score(graph, {.rule = rule, .plans = plans});
}

TEST(MicronetScore, TheReferenceScoresTwoAndWithTheFreebieFiveQuarters) {
  const Graph graph = wrn(28, 10, 100);
  const Summary summary = summarize(graph);
  EXPECT_EQ(as_printed(summary.parameters / 1e6, "36.54"), "36.54");
  EXPECT_EQ(as_printed(2 * summary.macs / 1e9, "10.487"), "10.487");
  const Score result = micronet(graph);
  EXPECT_TRUE(result.freebie);
  ASSERT_TRUE(result.without_freebie);
  EXPECT_EQ(as_printed(*result.without_freebie, "2.001"), "2.001");
  EXPECT_EQ(as_printed(result.score, "1.25"), "1.25");
  EXPECT_THAT(
      result.notes,
      ::testing::Contains(::testing::HasSubstr("the freebie); without it the score is 2.001")));
}

// The entry MSUNet v3: 98.5 thousand parameters and 85.27 million operations had the score 0.0108.
TEST(MicronetScore, TheReferenceFiguresGiveAPublishedScore) {
  const ScoreReference reference = info(ScoreRule::micronet).references.front();
  EXPECT_EQ(as_printed(98.5e3 / reference.parameters + 85.27e6 / reference.operations, "0.0108"),
            "0.0108");
  EXPECT_EQ(reference.threshold, 0.8);
}

// Published: 3 x 5 bits is 5/32 of an operation, 32 x 8 bits is one; a sign times a float is 1/32.
// A sign times an integer has the width of the integer, whose sign is not a bit of its own.
TEST(MicronetScore, AMultiplyHasTheWidthOfItsWiderInput) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 8);
  const Encoding binary = Encoding::binary(ScaleKind::none);
  struct Case {
    Encoding weight, input;
    double bits;
  };
  for (const Case& one : {Case{integer(3), integer(5), 5},
                          {Encoding::float32(), integer(8), 32},
                          {integer(8), Encoding::float32(), 32},
                          {binary, Encoding::float32(), 1},
                          {binary, Encoding::float16(), 1},
                          {binary, binary, 1},
                          {binary, integer(8), 8},
                          {Encoding::ternary(ScaleKind::none), Encoding::float32(), 1},
                          {Encoding::ternary(ScaleKind::none), integer(4), 4},
                          {Encoding::codebook(4, ScaleKind::none, false), integer(4), 32},
                          {Encoding::float16(), integer(4), 16}}) {
    const Score result = micronet(graph, {{"conv", {.weight = one.weight, .input = one.input}}});
    const ScoreItem multiply = item(layer(result, "conv").computed, "multiply");
    EXPECT_EQ(multiply.count, 16 * 16 * 8);
    EXPECT_EQ(multiply.bits, one.bits) << to_string(one.weight) << " x " << to_string(one.input);
  }
}

TEST(MicronetScore, CountsAsTheOfficialCounter) {
  // k*k*Cin multiplies and one add less per output value; a bias is one more add.
  const Score full =
      micronet(one_convolution({.out_channels = 16, .kernel = 3, .padding = 1, .bias = true}, 8));
  EXPECT_EQ(item(layer(full, "conv").computed, "multiply").count, 256 * 72);
  EXPECT_EQ(item(layer(full, "conv").computed, "add").count, 256 * 71);
  EXPECT_EQ(item(layer(full, "conv").computed, "bias").count, 256);
  EXPECT_EQ(item(layer(full, "fc").computed, "multiply").count, 160);
  EXPECT_EQ(item(layer(full, "fc").computed, "add").count, 150);
  EXPECT_EQ(item(layer(full, "fc").computed, "bias").count, 10);
  EXPECT_EQ(item(layer(full, "pool").computed, "multiply").count, 16);
  EXPECT_EQ(item(layer(full, "pool").computed, "add").count, 15 * 16);
  const Score depthwise =
      micronet(one_convolution({.out_channels = 16, .kernel = 3, .padding = 1, .groups = 16}, 16));
  EXPECT_EQ(item(layer(depthwise, "conv").computed, "multiply").count, 256 * 9);
  EXPECT_EQ(item(layer(depthwise, "conv").computed, "add").count, 256 * 8);
}

TEST(MicronetScore, CountsActivationsAndElementwiseOperations) {
  struct Case {
    Activation kind;
    double multiplies, adds;
  };
  for (const Case& one : {Case{Activation::relu, 1, 0},
                          {Activation::silu, 3, 1},
                          {Activation::sigmoid, 2, 1},
                          {Activation::relu6, 2, 0},
                          {Activation::hardtanh, 2, 0},
                          {Activation::leaky_relu, 2, 0},
                          {Activation::tanh, 1, 0},
                          {Activation::gelu, 4, 1}}) {
    GraphBuilder g;
    Value x = g.activation("act", g.input({{4, 8, 8}}), {.kind = one.kind});
    x = g.add("add", x, x);
    x = g.max_pool("max", x, {.kernel = 2, .stride = 2});
    x = g.average_pool("mean", x, {.kernel = 2, .stride = 2});
    x = g.linear("fc", g.flatten("flat", x), {.out_features = 10});
    const Score result = micronet(g.finish(x, 10));
    EXPECT_EQ(item(layer(result, "act").computed, "multiply").count, 256 * one.multiplies);
    EXPECT_EQ(item(layer(result, "act").computed, "add").count, 256 * one.adds);
    EXPECT_EQ(layer(result, "add").operations(), 256);
    EXPECT_EQ(item(layer(result, "max").computed, "multiply").count, 64 * 3);
    EXPECT_EQ(item(layer(result, "mean").computed, "multiply").count, 16);
    EXPECT_EQ(item(layer(result, "mean").computed, "add").count, 16 * 3);
    EXPECT_TRUE(layer(result, "flat").computed.empty());
  }
}

TEST(MicronetScore, TheFreebieHalvesValuesAndMultipliesButNoAdds) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 8);
  const Score result = micronet(graph);
  EXPECT_TRUE(result.freebie);
  EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), 128 / 2.0);
  EXPECT_DOUBLE_EQ(layer(result, "conv").operations(), 256 * (8 / 2.0 + 7));
  EXPECT_DOUBLE_EQ(layer(result, "fc").storage(), 170 / 2.0);
  // Half precision does not count as quantization; one coded input does, for the whole network.
  EXPECT_TRUE(micronet(graph, {{"conv", {.weight = Encoding::float16()}}}).freebie);
  const Score coded = micronet(graph, {{"fc", {.input = integer(8)}}});
  EXPECT_FALSE(coded.freebie);
  EXPECT_FALSE(coded.without_freebie);
  EXPECT_DOUBLE_EQ(layer(coded, "conv").storage(), 128);
  EXPECT_DOUBLE_EQ(layer(coded, "conv").operations(), 256 * (8 + 7));
}

// A mask pays off above a share of 1/b zeros: 3.1 % at 32 bits, 50 % at 2, never at 1.
TEST(MicronetScore, AMaskPaysOffWhereMoreThanOneInBWeightsIsZero) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 64);
  const std::int64_t n = 16 * 64;
  const std::map<int, Encoding> codings = {{32, Encoding::float32()},
                                           {16, Encoding::float16()},
                                           {4, integer(4)},
                                           {2, integer(2)},
                                           {1, Encoding::binary(ScaleKind::none)}};
  for (const auto& [bits, encoding] : codings) {
    ScoreRequest request{.rule = ScoreRule::micronet,
                         .plans = {{"conv", {.weight = encoding}}, {"fc", {.weight = integer(8)}}}};
    request.sparsity["conv"] = {.nonzero = n - n / bits};
    const Score even = score(graph, request);
    EXPECT_EQ(item(layer(even, "conv").stored, "mask").count, 0) << bits;
    EXPECT_DOUBLE_EQ(layer(even, "conv").storage(), n * bits / 32.0);
    if (bits == 1) continue;
    request.sparsity["conv"].nonzero -= 1;
    const Score masked = score(graph, request);
    EXPECT_EQ(item(layer(masked, "conv").stored, "mask").count, n) << bits;
    EXPECT_DOUBLE_EQ(layer(masked, "conv").storage(), (n * bits - bits) / 32.0);
  }
}

TEST(MicronetScore, ABlockOfWeightsNeedsOneBitOfTheMask) {
  GraphBuilder g;
  Value x = g.linear("fc", g.input({{128}}), {.out_features = 512, .bias = false});
  const Graph graph = g.finish(x, 512);
  ScoreRequest request{.rule = ScoreRule::micronet, .plans = {{"fc", {.weight = integer(8)}}}};
  request.sparsity["fc"] = {.nonzero = 16384, .block = 16};
  const Score result = score(graph, request);
  EXPECT_EQ(item(layer(result, "fc").stored, "mask").count, 4096);
  // Zeros are neither multiplied nor added.
  EXPECT_EQ(item(layer(result, "fc").computed, "multiply").count, 16384);
  EXPECT_EQ(item(layer(result, "fc").computed, "add").count, 16384 - 512);
}

TEST(MicronetScore, ABlockThatIsNotFullNeedsABitOfTheMaskToo) {
  GraphBuilder g;
  const Graph graph =
      g.finish(g.linear("fc", g.input({{65}}), {.out_features = 10, .bias = false}), 10);
  ScoreRequest request{.rule = ScoreRule::micronet, .plans = {{"fc", {.weight = integer(8)}}}};
  request.sparsity["fc"] = {.nonzero = 100, .block = 16};
  // 650 weights are 40 blocks of 16 and one of 10.
  EXPECT_EQ(item(layer(score(graph, request), "fc").stored, "mask").count, 41);
}

// As accepted by the organizers: one bit per nonzero weight, the mask, one scale per layer.
TEST(MicronetScore, TernaryWeightsAreSignsBesideAMask) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 64);
  ScoreRequest request{.rule = ScoreRule::micronet,
                       .plans = {{"conv", {.weight = Encoding::ternary(ScaleKind::tensor)}}}};
  EXPECT_DOUBLE_EQ(layer(score(graph, request), "conv").storage(), 1024 * 2 / 32.0 + 1);
  request.sparsity["conv"] = {.nonzero = 300};
  const Score result = score(graph, request);
  EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), (300 + 1024) / 32.0 + 1);
  EXPECT_DOUBLE_EQ(layer(result, "conv").operations(),
                   16 * 300 / 32.0 + (16 * 300 - 256) + 256);  // signs, float adds, the scale
}

TEST(MicronetScore, SumsOfIntegersHaveTheWidthOfTheirAccumulator) {
  const auto add_bits = [](std::int64_t channels, const Encoding& weight, const Encoding& input,
                           ScoreRule rule) {
    const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, channels);
    const Score result = micronet(graph, {{"conv", {.weight = weight, .input = input}}}, rule);
    const ScoreItem add = item(layer(result, "conv").computed, "add");
    EXPECT_EQ(add.count, 256.0 * static_cast<double>(channels - 1));
    return add.bits;
  };
  const Encoding binary = Encoding::binary(ScaleKind::none);
  // floor(log2((2^4 - 1) * (2^3 - 1) * 108)) + 1 = floor(13.47) + 1
  EXPECT_EQ(add_bits(108, integer(4), integer(4), ScoreRule::micronet), 14);
  EXPECT_EQ(add_bits(108, binary, binary, ScoreRule::micronet), 7);
  EXPECT_EQ(add_bits(108, binary, integer(8), ScoreRule::micronet), 15);
  EXPECT_EQ(add_bits(108, binary, Encoding::float32(), ScoreRule::micronet), 32);
  EXPECT_EQ(add_bits(108, Encoding::float16(), integer(4), ScoreRule::micronet), 32);
  EXPECT_EQ(add_bits(108, integer(4), integer(4), ScoreRule::micronet_float_adds), 32);
  // 5 products of 8 bits: two adders at 8, one at 9, one at 10.
  EXPECT_EQ(add_bits(5, integer(4), integer(4), ScoreRule::micronet_adder_tree), 35 / 4.0);
  // 4 signed products of 1 bit: two adders at 1, one at 2.
  EXPECT_EQ(add_bits(4, binary, binary, ScoreRule::micronet_adder_tree), 4 / 3.0);
  EXPECT_EQ(add_bits(4, binary, Encoding::float32(), ScoreRule::micronet_adder_tree), 32);
}

// Binary weights with float inputs, as in BinaryConnect: multiplies at 1/32, adds in full.
TEST(MicronetScore, EverythingThatInferenceReadsIsStored) {
  GraphBuilder g;
  Value x = g.conv2d("conv", g.input({{8, 4, 4}}), {.out_channels = 16, .kernel = 1});
  x = g.batch_norm("bn2", g.relu("relu", g.batch_norm("bn", x)));
  x = g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10});
  const Graph graph = g.finish(x, 10);
  const Score result = micronet(
      graph, {{"conv", {.weight = Encoding::binary(ScaleKind::tensor)}},
              {"fc",
               {.weight = Encoding::codebook(8, ScaleKind::tensor, false),
                .input = Encoding::uniform(8, ScaleKind::tensor, ZeroPointKind::tensor)}}});
  // bn becomes a scale and a bias per channel, which absorb the scale of the weights.
  EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), 128 / 32.0 + 16 + 16);
  EXPECT_DOUBLE_EQ(layer(result, "conv").operations(), 256 * (8 / 32.0 + 7 + 1 + 1));
  EXPECT_TRUE(layer(result, "bn").stored.empty());
  EXPECT_TRUE(layer(result, "bn").computed.empty());
  EXPECT_DOUBLE_EQ(layer(result, "bn2").storage(), 32);
  EXPECT_DOUBLE_EQ(layer(result, "bn2").operations(), 512);
  // Codes, 8 entries, a scale; the input's scale and zero point; the biases.
  EXPECT_DOUBLE_EQ(layer(result, "fc").storage(), 160 * 3 / 32.0 + 8 + 1 + 2 + 10);
  EXPECT_DOUBLE_EQ(layer(result, "fc").operations(), 160 + 150 + 10 + 10);
}

// XNOR-Net's K: |x|, its sum over the channels, a box filter, and one multiply per output value.
TEST(MicronetScore, AFactorPerPositionIsComputedAndNotStored) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 3, .padding = 1}, 8);
  const Score result = micronet(graph, {{"conv",
                                         {.weight = Encoding::binary(ScaleKind::channel),
                                          .input = Encoding::binary(ScaleKind::position)}}});
  EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), 16 * 72 / 32.0 + 16);
  EXPECT_EQ(item(layer(result, "conv").computed, "factor of a position").count,
            128 + (128 - 16) + 16 * 8 + 16 + 256);
  EXPECT_EQ(item(layer(result, "conv").computed, "scale").count, 256);
}

TEST(MicronetScore, AReluThatAllReadersWereMovedInFrontOfIsNotComputed) {
  const auto build = [](bool shortcut) {
    GraphBuilder g;
    const Value relu = g.relu("relu", g.batch_norm("bn", g.input({{8, 4, 4}})));
    Value x = g.conv2d("conv", g.max_pool("max", relu, {.kernel = 3, .stride = 1, .padding = 1}),
                       {.out_channels = 8, .kernel = 1});
    if (shortcut) x = g.add("add", x, relu);
    return g.finish(g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10}), 10);
  };
  const Plans plans = {{"conv",
                        {.weight = Encoding::binary(ScaleKind::none),
                         .input = Encoding::binary(ScaleKind::none),
                         .bypassed_relu = "relu"}}};
  EXPECT_EQ(layer(micronet(build(false), plans), "relu").operations(), 0);
  EXPECT_EQ(layer(micronet(build(true), plans), "relu").operations(), 128);
  EXPECT_EQ(layer(micronet(build(false)), "relu").operations(), 64);  // 16 bits: the freebie
  // The pooling is done all the same: on what the ReLU reads.
  const double pooling = layer(micronet(build(true), plans), "max").operations();
  EXPECT_EQ(pooling, 128 * 8);
  EXPECT_EQ(layer(micronet(build(false), plans), "max").operations(), pooling);
}

TEST(MicronetScore, UniformBitsReplaceThePlan) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 8);
  const Score half = score(graph, {.rule = ScoreRule::micronet, .uniform = UniformBits{16, 16}});
  EXPECT_TRUE(half.freebie);
  const Score signs = score(graph, {.rule = ScoreRule::micronet, .uniform = UniformBits{1, 1}});
  EXPECT_FALSE(signs.freebie);
  EXPECT_DOUBLE_EQ(layer(signs, "conv").operations(), 256 * (8 + 7 * 4) / 32.0);
  EXPECT_DOUBLE_EQ(layer(signs, "conv").storage(), 128 / 32.0);
}

}  // namespace
}  // namespace qhost::report
