// Shapes, parameters and names of the nodes that the builder creates.
#include <stdexcept>

#include "graph/fans.h"
#include "graph/helpers.h"

namespace qhost {
namespace {

using test::Network;
using test::shape;
using ::testing::ElementsAre;

const Node& last_node(const Graph& graph) {
  return graph.nodes().back();
}

// A graph whose output is pooled and classified from `y`.
Graph classify(GraphBuilder& g, Value y, std::int64_t classes = 10) {
  if (y.shape().is_image()) y = g.global_average_pool("pool", y);
  return g.finish(g.linear("fc", y, {.out_features = classes}), classes);
}

struct ConvCase {
  const char* input;
  Conv2dOptions options;
  const char* output;
  std::vector<std::int64_t> weight;
};

class ConvShapes : public ::testing::TestWithParam<ConvCase> {};

TEST_P(ConvShapes, FollowTheFormula) {
  Network n(GetParam().input);
  const Value y = n.g.conv2d("conv", n.x, GetParam().options);
  EXPECT_EQ(y.shape(), shape(GetParam().output));
  const Graph graph = classify(n.g, y);
  ASSERT_EQ(graph.node(1).parameters.size(), 1u);
  EXPECT_EQ(graph.node(1).parameters[0].shape, GetParam().weight);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConvShapes,
    ::testing::Values(
        ConvCase{
            "3x32x32", {.out_channels = 16, .kernel = 3, .padding = 1}, "16x32x32", {16, 3, 3, 3}},
        ConvCase{"16x32x32",
                 {.out_channels = 32, .kernel = 3, .stride = 2, .padding = 1},
                 "32x16x16",
                 {32, 16, 3, 3}},
        ConvCase{
            "16x33x31", {.out_channels = 8, .kernel = 1, .stride = 2}, "8x17x16", {8, 16, 1, 1}},
        ConvCase{"16x8x9",
                 {.out_channels = 8, .kernel = {3, 5}, .stride = {1, 2}, .padding = {0, 2}},
                 "8x6x5",
                 {8, 16, 3, 5}},
        ConvCase{"16x8x8",
                 {.out_channels = 32, .kernel = 3, .padding = 1, .groups = 16},
                 "32x8x8",
                 {32, 1, 3, 3}},
        ConvCase{"1x3x3",
                 {.out_channels = 4, .kernel = 5, .stride = 7, .padding = 1},
                 "4x1x1",
                 {4, 1, 5, 5}}));

TEST(Builder, ConvolutionDeclaresWeightAndBias) {
  Network n;
  const Graph graph = classify(n.g, n.g.conv2d("conv", n.x,
                                               {.out_channels = 4,
                                                .kernel = 3,
                                                .bias = true,
                                                .init = Initialization::kaiming_normal_fan_in}));
  const auto& parameters = graph.find("conv")->parameters;
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].name, "weight");
  EXPECT_EQ(parameters[0].init, Initialization::kaiming_normal_fan_in);
  EXPECT_TRUE(parameters[0].trainable);
  EXPECT_TRUE(parameters[0].decayed);
  EXPECT_EQ(parameters[1].name, "bias");
  EXPECT_THAT(parameters[1].shape, ElementsAre(4));
  EXPECT_EQ(parameters[1].init, Initialization::zeros);
  EXPECT_TRUE(parameters[1].trainable);
  EXPECT_FALSE(parameters[1].decayed);
}

TEST(Builder, LinearDeclaresWeightAndBiasDrawnAlike) {
  Network n("7");
  const Graph graph = classify(n.g, n.g.linear("hidden", n.x, {.out_features = 5}));
  const auto& parameters = graph.find("hidden")->parameters;
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_THAT(parameters[0].shape, ElementsAre(5, 7));
  EXPECT_TRUE(parameters[0].decayed);
  EXPECT_THAT(parameters[1].shape, ElementsAre(5));
  EXPECT_EQ(parameters[1].init, Initialization::torch_default);
  EXPECT_FALSE(parameters[1].decayed);
  EXPECT_EQ(graph.find("hidden")->shape, shape("5"));
}

TEST(Builder, LinearWithoutBiasHasNone) {
  Network n("7");
  const Value y = n.g.linear("fc", n.x, {.out_features = 3, .bias = false});
  EXPECT_EQ(n.g.finish(y, 3).output().parameters.size(), 1u);
}

TEST(Builder, BatchNormDeclaresFourTensorsInOrder) {
  Network n;
  const Graph graph =
      classify(n.g, n.g.batch_norm("bn", n.x, {.gamma_init = Initialization::zeros}));
  const Node& bn = *graph.find("bn");
  EXPECT_EQ(bn.shape, shape("16x8x8"));
  ASSERT_EQ(bn.parameters.size(), 4u);
  const char* const names[] = {"weight", "bias", "running_mean", "running_var"};
  const Initialization inits[] = {Initialization::zeros, Initialization::zeros,
                                  Initialization::zeros, Initialization::ones};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(bn.parameters[i].name, names[i]);
    EXPECT_EQ(bn.parameters[i].init, inits[i]) << names[i];
    EXPECT_EQ(bn.parameters[i].trainable, i < 2) << names[i];
    EXPECT_FALSE(bn.parameters[i].decayed) << names[i];
    EXPECT_THAT(bn.parameters[i].shape, ElementsAre(16));
  }
}

TEST(Builder, BatchNormStartsGammaFromOnes) {
  Network n;
  const Graph graph = classify(n.g, n.g.batch_norm("bn", n.x));
  EXPECT_EQ(graph.find("bn")->parameters[0].init, Initialization::ones);
}

TEST(Builder, BatchNormWithoutAffineKeepsStatisticsOnly) {
  Network n("12");
  const Graph graph = classify(n.g, n.g.batch_norm("bn", n.x, {.affine = false}));
  ASSERT_EQ(graph.find("bn")->parameters.size(), 2u);
  EXPECT_EQ(graph.find("bn")->parameters[0].name, "running_mean");
}

TEST(Builder, PoolsFollowTheFormula) {
  Network n("4x9x7");
  EXPECT_EQ(n.g.max_pool("a", n.x).shape(), shape("4x4x3"));
  EXPECT_EQ(n.g.max_pool("b", n.x, {.kernel = 3, .stride = 2, .padding = 1}).shape(),
            shape("4x5x4"));
  EXPECT_EQ(n.g.average_pool("c", n.x, {.kernel = {9, 1}, .stride = {1, 3}}).shape(),
            shape("4x1x3"));
  EXPECT_EQ(n.g.global_average_pool("d", n.x).shape(), shape("4"));
}

TEST(Builder, SubsampleTakesEveryStridethPixelAndAddsChannels) {
  Network n("16x9x8");
  EXPECT_EQ(n.g.subsample("a", n.x, {.out_channels = 32, .stride = 2}).shape(), shape("32x5x4"));
  EXPECT_EQ(n.g.subsample("b", n.x, {.out_channels = 16, .stride = {1, 3}}).shape(),
            shape("16x9x3"));
  // Equal to the shape of a padded 3x3 convolution of the same stride, which is parallel to it.
  for (std::int64_t size = 1; size <= 9; ++size) {
    Network m("1x" + std::to_string(size) + "x" + std::to_string(size));
    EXPECT_EQ(
        m.g.subsample("s", m.x, {.out_channels = 2, .stride = 2}).shape(),
        m.g.conv2d("c", m.x, {.out_channels = 2, .kernel = 3, .stride = 2, .padding = 1}).shape());
  }
}

TEST(Builder, JoinsFollowTheirInputs) {
  Network n("16x8x8");
  const Value y = n.g.conv2d("conv", n.x, {.out_channels = 4, .kernel = 1});
  EXPECT_EQ(n.g.add("twice", y, y).shape(), shape("4x8x8"));
  EXPECT_EQ(n.g.concat("cat", {n.x, y, y}).shape(), shape("24x8x8"));
  const Value f = n.g.global_average_pool("p", y);
  EXPECT_EQ(n.g.concat("features", {f, f}).shape(), shape("8"));
  EXPECT_EQ(n.g.concat("one", {f}).shape(), shape("4"));
  EXPECT_EQ(n.g.flatten("flat", y).shape(), shape("256"));
}

TEST(Builder, PointwiseOperationsKeepTheShape) {
  Network n("16x8x8");
  EXPECT_EQ(n.g.relu("r", n.x).shape(), n.x.shape());
  EXPECT_EQ(n.g.activation("t", n.x, {.kind = Activation::tanh}).shape(), n.x.shape());
  EXPECT_EQ(n.g.dropout("d", n.x, {.probability = 0}).shape(), n.x.shape());
}

TEST(Builder, ScopesPrefixNamesWhileTheyLive) {
  Network n;
  Value y = n.x;
  {
    auto stage = n.g.scope("stage2");
    {
      auto block = n.g.scope("block0");
      y = n.g.relu("relu1", y);
    }
    y = n.g.relu("relu", y);
  }
  y = n.g.relu("relu", y);
  const Graph graph = classify(n.g, y);
  EXPECT_NE(graph.find("stage2.block0.relu1"), nullptr);
  EXPECT_NE(graph.find("stage2.relu"), nullptr);
  EXPECT_NE(graph.find("relu"), nullptr);
  EXPECT_EQ(graph.find("relu1"), nullptr);
}

TEST(Builder, ScopeEndsWhenAnExceptionLeavesIt) {
  Network n;
  const auto build_block = [&] {
    auto scope = n.g.scope("block");
    throw std::runtime_error("leave");
  };
  EXPECT_THROW(build_block(), std::runtime_error);
  const Graph graph = classify(n.g, n.g.relu("relu", n.x));
  EXPECT_NE(graph.find("relu"), nullptr);
}

TEST(Builder, FailedCallLeavesNoNode) {
  Network n;
  EXPECT_THROW(n.g.conv2d("conv", n.x, {.out_channels = 0}), Error);
  const Graph graph = classify(n.g, n.g.conv2d("conv", n.x, {.out_channels = 4, .kernel = 1}));
  EXPECT_EQ(graph.nodes().size(), 4u);
}

TEST(Builder, ShapesStayValidWhileTheGraphGrows) {
  Network n;
  const Shape& first = n.x.shape();
  Value y = n.x;
  for (int i = 0; i < 1000; ++i) y = n.g.relu("relu" + std::to_string(i), y);
  EXPECT_EQ(first, shape("16x8x8"));
}

TEST(Builder, NodesStandInTopologicalOrderWithTheirLines) {
  Network n;
  const int line = __LINE__ + 1;
  Value y = n.g.relu("relu", n.x);
  const Graph graph = classify(n.g, n.g.add("add", y, n.x));
  for (const Node& node : graph.nodes()) {
    EXPECT_EQ(&graph.node(node.id), &node);
    for (int source : node.inputs) EXPECT_LT(source, node.id);
  }
  const Node& relu = *graph.find("relu");
  EXPECT_EQ(relu.line, line);
  EXPECT_GT(relu.column, 0);
  EXPECT_THAT(relu.file, ::testing::EndsWith("tests/graph/builder_test.cpp"));
  EXPECT_EQ(&graph.output(), &last_node(graph));
  EXPECT_EQ(graph.input().name, "input");
}

TEST(Builder, ConsumersStandInOrderAndTwiceWhereReadTwice) {
  Network n;
  const Value y = n.g.relu("relu", n.x);
  const Value twice = n.g.add("twice", y, y);
  const Graph graph = classify(n.g, n.g.add("sum", twice, y));
  EXPECT_THAT(graph.consumers(y.id()), ElementsAre(2, 2, 3));
  EXPECT_TRUE(graph.consumers(graph.output().id).empty());
}

TEST(Builder, ValuesAnswerAfterFinish) {
  Network n;
  const Value y = n.g.relu("relu", n.x);
  const Graph graph = classify(n.g, y);
  EXPECT_EQ(y.shape(), shape("16x8x8"));
  EXPECT_EQ(graph.find("relu")->as<ActivationOptions>().kind, Activation::relu);
  EXPECT_THROW(graph.find("relu")->as<PoolOptions>(), std::bad_variant_access);
}

TEST(Shapes, PrintAndMultiply) {
  EXPECT_EQ(to_string(shape("64x16x16")), "[N,64,16,16]");
  EXPECT_EQ(to_string(shape("10")), "[N,10]");
  EXPECT_EQ(shape("64x16x8").elements(), 8192);
  EXPECT_EQ(Shape{}.elements(), 1);
}

TEST(FansOfWeights, FollowTheDefinition) {
  Network n("16x8x8");
  Value y = n.g.conv2d("conv", n.x, {.out_channels = 32, .kernel = {3, 5}, .groups = 4});
  y = n.g.relu("relu", y);
  const Graph graph = classify(n.g, y);
  const Fans conv = fans(*graph.find("conv"));
  EXPECT_EQ(conv.in, 4 * 15);
  EXPECT_EQ(conv.out, 8 * 15);
  const Fans linear = fans(*graph.find("fc"));
  EXPECT_EQ(linear.in, 32);
  EXPECT_EQ(linear.out, 10);
  EXPECT_THROW(fans(*graph.find("relu")), std::bad_variant_access);
  EXPECT_THROW(fans(std::vector<std::int64_t>{3}), std::invalid_argument);
}

}  // namespace
}  // namespace qhost
