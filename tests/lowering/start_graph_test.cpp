#include "lowering/start_graph.h"

#include "support.h"

namespace qhost {
namespace {

using ::testing::ElementsAre;

TEST(StartGraph, IsTheNetworkNodeByNode) {
  const InferenceGraph graph = start_graph(test::conv_bn_relu({}, true), {});
  EXPECT_THAT(test::lines(graph),
              ElementsAre("input:", "conv: input", "bn: conv", "relu: bn", "pool: relu"));
  EXPECT_EQ(graph.output, 4);
  EXPECT_EQ(graph.tensors.size(), 6U);
  EXPECT_EQ(graph.tensors.at("conv.weight").shape, (std::vector<std::int64_t>{3, 2, 3, 3}));
  EXPECT_EQ(graph.tensors.at("conv.bias").shape, std::vector<std::int64_t>{3});
  EXPECT_EQ(graph.tensors.at("bn.running_var").encoding, Encoding::float32());
  EXPECT_FALSE(graph.tensors.at("conv.weight").has_contents());
  EXPECT_EQ(why_invalid(graph), "");
}

TEST(StartGraph, HasTheEncodingsOfThePlans) {
  const Encoding binary = Encoding::binary(ScaleKind::channel);
  const Encoding codes = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::none);
  const InferenceGraph graph = start_graph(test::conv_bn_relu(), {{"conv",
                                                                   {.weight = binary,
                                                                    .input = codes,
                                                                    .weight_method = "bwn",
                                                                    .input_method = "uniform",
                                                                    .bias_correction = true,
                                                                    .folds_batch_norm = true}}});
  EXPECT_EQ(graph.tensors.at("conv.weight").encoding, binary);
  EXPECT_EQ(graph.node(1).method, "bwn");
  EXPECT_EQ(graph.node(1).inputs[0].encoding, codes);
  EXPECT_EQ(graph.node(1).inputs[0].method, "uniform");
  EXPECT_TRUE(graph.node(1).corrects_bias);
  EXPECT_TRUE(graph.node(1).folds_batch_norm);
  EXPECT_EQ(graph.node(2).inputs[0].encoding, Encoding::float32());
  EXPECT_FALSE(graph.node(2).folds_batch_norm);
}

TEST(StartGraph, TakesTheEdgesOneByOneWhereTheyAreKnown) {
  const Graph graph = test::network(
      {{4}}, [](GraphBuilder& g, Value x) { return g.add("sum", x, g.relu("relu", x)); });
  const Encoding one = Encoding::binary(ScaleKind::none);
  const InferenceGraph lowered = start_graph(
      graph, {{"sum", {.input = one, .edges = {{}, {.encoding = one, .method = "sign"}}}}});
  EXPECT_EQ(lowered.node(2).inputs[0].encoding, Encoding::float32());
  EXPECT_EQ(lowered.node(2).inputs[0].method, "");
  EXPECT_EQ(lowered.node(2).inputs[1].encoding, one);
  EXPECT_EQ(lowered.node(2).inputs[1].method, "sign");
}

TEST(StartGraph, FindsTheEdgeThatAReluIsBypassedOn) {
  const Graph graph = test::network({{4}}, [](GraphBuilder& g, Value x) {
    return g.linear("fc", g.relu("relu", g.batch_norm("bn", x)), {.out_features = 3});
  });
  const InferenceGraph lowered = start_graph(graph, {{"fc", {.bypassed_relu = "relu"}}});
  ASSERT_TRUE(lowered.node(3).inputs[0].elision);
  EXPECT_EQ(lowered.node(3).inputs[0].elision->source, 1);
  EXPECT_FALSE(start_graph(graph, {}).node(3).inputs[0].elision);
}

}  // namespace
}  // namespace qhost
