#include "lowering/passes/bypass_relu.h"

#include "support.h"

namespace qhost {
namespace {

using test::at;
using test::lines;
using ::testing::ElementsAre;

LayerPlan past(const std::string& relu) {
  return {
      .input = Encoding::binary(ScaleKind::none), .input_method = "sign", .bypassed_relu = relu};
}

InferenceGraph bypassed(const Graph& graph, const LayerPlans& plans) {
  InferenceGraph result = start_graph(graph, plans);
  bypass_relu(result);
  EXPECT_EQ(why_invalid(result), "");
  return result;
}

TEST(BypassRelu, TheEdgeReadsWhatTheReluReads) {
  const Graph graph = test::network({{4}}, [](GraphBuilder& g, Value x) {
    return g.linear("fc", g.relu("relu", g.batch_norm("bn", x)), {.out_features = 3});
  });
  const InferenceGraph result = bypassed(graph, {{"fc", past("relu")}});
  EXPECT_THAT(lines(result), ElementsAre("input:", "bn: input", "relu: bn", "fc: bn"));
  EXPECT_EQ(at(result, "fc").inputs[0].method, "sign");
  EXPECT_EQ(at(result, "fc").inputs[0].encoding, Encoding::binary(ScaleKind::none));
  EXPECT_THAT(lines(bypassed(graph, {})),
              ElementsAre("input:", "bn: input", "relu: bn", "fc: relu"));
}

TEST(BypassRelu, WhatStandsBetweenIsRepeatedOnTheSignedValues) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.relu("relu", g.batch_norm("bn", x));
    {
      const Scope block = g.scope("block");
      x = g.max_pool("max", x);
    }
    x = g.flatten("flat", g.dropout("drop", x));
    return g.linear("fc", x, {.out_features = 3});
  });
  const InferenceGraph result = bypassed(graph, {{"fc", past("relu")}});
  EXPECT_THAT(lines(result), ElementsAre("input:", "bn: input", "relu: bn", "block.max: relu",
                                         "drop: block.max", "flat: drop", "fc/block.max: bn",
                                         "fc/flat: fc/block.max", "fc: fc/flat"));
  EXPECT_EQ(at(result, "fc/block.max").repeats, "block.max");
  EXPECT_EQ(at(result, "fc/block.max").as<PoolOptions>().kernel, Size2(2));
  EXPECT_EQ(at(result, "fc/flat").shape, (Shape{{8}}));
  EXPECT_EQ(result.output, 8);
}

TEST(BypassRelu, ReadersOfTheSameValueShareIt) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.max_pool("max", g.relu("relu", g.batch_norm("bn", x)));
    const Value a = g.conv2d("a", x, {.out_channels = 3, .kernel = 1});
    const Value b = g.conv2d("b", x, {.out_channels = 3, .kernel = 1});
    return g.global_average_pool("pool", g.add("sum", a, b));
  });
  const InferenceGraph result = bypassed(graph, {{"a", past("relu")}, {"b", past("relu")}});
  EXPECT_THAT(lines(result),
              ElementsAre("input:", "bn: input", "relu: bn", "max: relu", "a/max: bn", "a: a/max",
                          "b: a/max", "sum: a b", "pool: sum"));
}

/// The pooling's own quantizer is not affected: it belongs to the value behind the ReLU.
TEST(BypassRelu, ARepeatedNodeHasNoQuantizer) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.max_pool("max", g.relu("relu", g.batch_norm("bn", x)));
    return g.global_average_pool("pool", g.conv2d("conv", x, {.out_channels = 3, .kernel = 1}));
  });
  const InferenceGraph result =
      bypassed(graph, {{"conv", past("relu")},
                       {"max",
                        {.input = Encoding::uniform(2, ScaleKind::tensor, ZeroPointKind::none),
                         .input_method = "uniform"}}});
  EXPECT_EQ(at(result, "max").inputs[0].method, "uniform");
  EXPECT_EQ(at(result, "conv/max").inputs[0].method, "");
  EXPECT_EQ(at(result, "conv/max").inputs[0].encoding, Encoding::float32());
}

TEST(BypassRelu, IsTheFirstPass) {
  const Graph graph = test::network({{4}}, [](GraphBuilder& g, Value x) {
    return g.linear("fc", g.relu("relu", g.batch_norm("bn", x)), {.out_features = 3});
  });
  InferenceGraph moved = start_graph(graph, {{"fc", past("relu")}});
  moved.insert(1, {.name = "more", .op = Op::flatten, .inputs = {{.node = 0}}, .shape = {{4}}});
  EXPECT_THAT(test::internal_error_of([&] { bypass_relu(moved); }),
              ::testing::StartsWith("bypass_relu: fc is to pass bn, which is no relu of more\n"));
}

}  // namespace
}  // namespace qhost
