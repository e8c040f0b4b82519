#include "graph/relu_elision.h"

#include <functional>

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A batch norm `bn`, then the nodes of `middle`, then a convolution or linear layer `next`.
Graph behind(const std::function<Value(GraphBuilder&, Value)>& middle) {
  test::Network n("4x8x8");
  GraphBuilder& g = n.g;
  Value y = middle(g, g.batch_norm("bn", n.x));
  if (y.shape().is_image()) {
    y = g.conv2d("next", y, {.out_channels = 10, .kernel = 1});
    return g.finish(g.global_average_pool("pool", y), 10);
  }
  return g.finish(g.linear("next", y, {.out_features = 10}), 10);
}

std::optional<ReluElision> elide_next(const Graph& graph) {
  return elide_relu(graph, *graph.find("next"));
}

TEST(ReluElisionOf, ReadsWhatTheReluReads) {
  const Graph graph = behind([](GraphBuilder& g, Value x) { return g.relu("relu", x); });
  const auto result = elide_next(graph);
  ASSERT_TRUE(result);
  EXPECT_EQ(graph.node(result->relu).name, "relu");
  EXPECT_EQ(graph.node(result->source).name, "bn");
  EXPECT_THAT(result->through, IsEmpty());
  EXPECT_THAT(result->dropouts, IsEmpty());
  EXPECT_EQ(to_string(graph, *result), "reads bn instead of relu");
}

TEST(ReluElisionOf, KeepsPoolingFlattenAndDropoutInOrder) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    x = g.dropout("drop1", g.relu("relu", x), {.probability = 0.25});
    x = g.max_pool("pool1", x);
    x = g.max_pool("pool2", x);
    x = g.flatten("flat", x);
    return g.dropout("drop2", x, {.probability = 0.5});
  });
  const auto result = elide_next(graph);
  ASSERT_TRUE(result);
  std::vector<std::string> through;
  for (int id : result->through) through.push_back(graph.node(id).name);
  EXPECT_THAT(through, ElementsAre("pool1", "pool2", "flat"));
  ASSERT_EQ(result->dropouts.size(), 2u);
  EXPECT_EQ(graph.node(result->dropouts[0].node).name, "drop1");
  EXPECT_EQ(result->dropouts[0].probability, 0.25);
  EXPECT_EQ(graph.node(result->dropouts[1].node).name, "drop2");
  EXPECT_EQ(result->dropouts[1].probability, 0.5);
  EXPECT_EQ(to_string(graph, *result),
            "reads bn instead of relu, through pool1, pool2, flat; drop1, drop2 on the codes");
}

TEST(ReluElisionOf, AReluOfAReluIsPassedToo) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    return g.relu("relu2", g.max_pool("pool1", g.relu("relu1", x)));
  });
  const auto result = elide_next(graph);
  ASSERT_TRUE(result);
  EXPECT_EQ(graph.node(result->relu).name, "relu1");
  EXPECT_EQ(graph.node(result->source).name, "bn");
  EXPECT_EQ(result->through.size(), 1u);
}

TEST(ReluElisionOf, ReadsAnAddBehindItsRelu) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    const Value a = g.relu("a", x);
    return g.relu("relu", g.add("sum", a, x));
  });
  const auto result = elide_next(graph);
  ASSERT_TRUE(result);
  EXPECT_EQ(graph.node(result->source).name, "sum");
}

TEST(ReluElisionOf, ChoosesTheEdge) {
  test::Network n("10");
  const Value relu = n.g.relu("relu", n.x);
  const Graph graph = n.g.finish(n.g.add("add", n.x, relu), 10);
  EXPECT_FALSE(elide_relu(graph, graph.output(), 0));
  ASSERT_TRUE(elide_relu(graph, graph.output(), 1));
  EXPECT_EQ(elide_relu(graph, graph.output(), 1)->source, 0);
  EXPECT_THROW(elide_relu(graph, graph.output(), 2), std::out_of_range);
}

struct Untouched {
  const char* name;
  std::function<Value(GraphBuilder&, Value)> middle;
};

class NotBehindARelu : public ::testing::TestWithParam<Untouched> {};

TEST_P(NotBehindARelu, NeedsNothing) {
  EXPECT_FALSE(elide_next(behind(GetParam().middle)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NotBehindARelu,
    ::testing::Values(
        Untouched{"BatchNorm", [](GraphBuilder&, Value x) { return x; }},
        Untouched{"BatchNormBehindRelu",
                  [](GraphBuilder& g, Value x) { return g.batch_norm("bn2", g.relu("r", x)); }},
        Untouched{"Hardtanh",
                  [](GraphBuilder& g, Value x) {
                    return g.activation("h", x, {.kind = Activation::hardtanh});
                  }},
        Untouched{"PooledBatchNorm",
                  [](GraphBuilder& g, Value x) { return g.average_pool("p", g.max_pool("m", x)); }},
        Untouched{"AddOfRelus",
                  [](GraphBuilder& g, Value x) {
                    const Value r = g.relu("r", x);
                    return g.add("sum", r, r);
                  }},
        Untouched{"ConcatOfRelus",
                  [](GraphBuilder& g, Value x) {
                    const Value r = g.relu("r", x);
                    return g.max_pool("m", g.concat("cat", {r, r}));
                  }},
        Untouched{"ConvolutionBehindRelu",
                  [](GraphBuilder& g, Value x) {
                    return g.conv2d("c", g.relu("r", x), {.out_channels = 4, .kernel = 1});
                  }}),
    [](const auto& test) { return test.param.name; });

TEST(NotBehindAReluAtAll, TheNetworksInput) {
  test::Network n("10");
  const Graph graph = n.g.finish(n.g.linear("fc", n.x, {.out_features = 10}), 10);
  EXPECT_FALSE(elide_relu(graph, graph.output()));
}

struct Hidden {
  const char* name;
  std::function<Value(GraphBuilder&, Value)> middle;
  const char* between;
};

class HiddenRelus : public ::testing::TestWithParam<Hidden> {};

TEST_P(HiddenRelus, AreErrorsThatNameBothNodes) {
  const Graph graph = behind(GetParam().middle);
  const std::string text = error_of([&] { elide_next(graph); });
  EXPECT_THAT(text,
              is_graph_error("next (" + std::string(to_string(graph.find("next")->op)) +
                                 "): input 0 wants signed values, but `" + GetParam().between +
                                 "` stands between it and `r`, which is never negative",
                             "leave this input in float (keep_float), choose a quantizer of "
                             "non-negative inputs, or let only dropout, flatten and max_pool stand "
                             "behind a relu"));
  EXPECT_THAT(text, HasSubstr(std::string("\n  between = ") + GetParam().between));
  EXPECT_THAT(text, HasSubstr("\n  rectifier = r"));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, HiddenRelus,
    ::testing::Values(
        Hidden{"AveragePool",
               [](GraphBuilder& g, Value x) { return g.average_pool("mean", g.relu("r", x)); },
               "mean"},
        Hidden{
            "GlobalPool",
            [](GraphBuilder& g, Value x) { return g.global_average_pool("mean", g.relu("r", x)); },
            "mean"},
        Hidden{"PoolsAround",
               [](GraphBuilder& g, Value x) {
                 x = g.max_pool("m1", g.relu("r", x));
                 x = g.average_pool("mean", x, {.kernel = 1, .stride = 1});
                 return g.dropout("d", g.max_pool("m2", x));
               },
               "mean"},
        Hidden{"Subsample",
               [](GraphBuilder& g, Value x) {
                 return g.subsample("sub", g.relu("r", x), {.out_channels = 8});
               },
               "sub"},
        Hidden{"OtherActivation",
               [](GraphBuilder& g, Value x) {
                 return g.activation("squash", g.relu("r", x), {.kind = Activation::tanh});
               },
               "squash"},
        Hidden{"PooledSigmoid",
               [](GraphBuilder& g, Value x) {
                 return g.average_pool("mean", g.activation("r", x, {.kind = Activation::sigmoid}));
               },
               "mean"}),
    [](const auto& test) { return test.param.name; });

TEST(OtherRectifiers, AreErrors) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    return g.max_pool("m", g.activation("six", x, {.kind = Activation::relu6}));
  });
  EXPECT_THAT(
      error_of([&] { elide_next(graph); }),
      HasSubstr("next (conv2d): input 0 wants signed values, but reads `six`, which is never "
                "negative and no relu\n  rectifier = six"));
}

TEST(OtherRectifiers, StandInTheWayOfARelu) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    return g.activation("six", g.relu("r", x), {.kind = Activation::relu6});
  });
  EXPECT_THAT(error_of([&] { elide_next(graph); }), HasSubstr("reads `six`, which is never"));
}

}  // namespace
}  // namespace qhost
