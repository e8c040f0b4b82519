#include "graph/non_negative.h"

#include <functional>

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::Network;

/// True if the node of that name is never negative.
bool never_negative(const Graph& graph, const std::string& name, const KnownSigns& known = {}) {
  return non_negative_nodes(graph, known).at(static_cast<std::size_t>(graph.find(name)->id));
}

/// Applies `body` to the output of a batch norm, which may be negative; `body` ends in the node
/// `next`.
Graph behind(const std::function<Value(GraphBuilder&, Value)>& body) {
  Network n("4x8x8");
  Value y = body(n.g, n.g.batch_norm("bn", n.x));
  if (y.shape().is_image()) y = n.g.global_average_pool("end", y);
  return n.g.finish(n.g.linear("fc", y, {.out_features = 10}), 10);
}

Graph behind_activation(const ActivationOptions& options) {
  return behind([&](GraphBuilder& g, Value x) { return g.activation("next", x, options); });
}

TEST(NonNegative, BehindActivations) {
  using enum Activation;
  for (const Activation kind : {relu, relu6, sigmoid}) {
    EXPECT_TRUE(never_negative(behind_activation({.kind = kind}), "next")) << to_string(kind);
  }
  for (const Activation kind : {leaky_relu, hardtanh, tanh, silu, gelu}) {
    EXPECT_FALSE(never_negative(behind_activation({.kind = kind}), "next")) << to_string(kind);
    // A non-negative value stays non-negative.
    const Graph graph = behind([&](GraphBuilder& g, Value x) {
      return g.activation("next", g.relu("relu", x), {.kind = kind});
    });
    EXPECT_TRUE(never_negative(graph, "next")) << to_string(kind);
  }
  EXPECT_TRUE(never_negative(behind_activation({.kind = leaky_relu, .slope = 0}), "next"));
  EXPECT_TRUE(never_negative(behind_activation({.kind = leaky_relu, .slope = -0.1}), "next"));
}

TEST(NonNegative, LayersAndNormsMayGiveAnything) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    x = g.relu("relu", x);
    x = g.conv2d("conv", x, {.out_channels = 4, .padding = 1});
    x = g.batch_norm("norm", g.relu("relu2", x));
    return g.flatten("flat", x);
  });
  for (const char* name : {"input", "bn", "conv", "norm", "flat", "fc"}) {
    if (graph.find(name) == nullptr) continue;
    EXPECT_FALSE(never_negative(graph, name)) << name;
  }
  EXPECT_TRUE(never_negative(graph, "relu2"));
}

TEST(NonNegative, ThroughWhatOnlyMovesOrAveragesValues) {
  const auto chain = [](bool rectified) {
    return behind([rectified](GraphBuilder& g, Value x) {
      if (rectified) x = g.relu("relu", x);
      x = g.dropout("drop", g.max_pool("max", x));
      x = g.average_pool("mean", x);
      x = g.subsample("short", x, {.out_channels = 8, .stride = 1});
      return g.flatten("flat", x);
    });
  };
  for (const char* name : {"drop", "max", "mean", "short", "flat"}) {
    EXPECT_TRUE(never_negative(chain(true), name)) << name;
    EXPECT_FALSE(never_negative(chain(false), name)) << name;
  }
  EXPECT_TRUE(never_negative(behind([](GraphBuilder& g, Value x) {
                               return g.global_average_pool("global", g.relu("relu", x));
                             }),
                             "global"));
}

TEST(NonNegative, AJoinWhereAllBranchesAre) {
  const auto joined = [](bool second) {
    return behind([second](GraphBuilder& g, Value x) {
      const Value a = g.relu("a", x);
      const Value b = second ? g.relu("b", x) : g.batch_norm("b", x);
      return g.concat("cat", {b, g.add("sum", b, a), a});
    });
  };
  EXPECT_TRUE(never_negative(joined(true), "sum"));
  EXPECT_TRUE(never_negative(joined(true), "cat"));
  EXPECT_FALSE(never_negative(joined(false), "sum"));
  EXPECT_FALSE(never_negative(joined(false), "cat"));
}

TEST(NonNegative, ASumWithASignedEdgeIsSigned) {
  const Graph graph = behind([](GraphBuilder& g, Value x) {
    const Value a = g.relu("a", x);
    return g.max_pool("pool", g.add("sum", a, a));
  });
  EXPECT_TRUE(never_negative(graph, "pool"));
  const int sum = graph.find("sum")->id;
  EXPECT_FALSE(never_negative(graph, "pool", {.signed_edges = {{sum, 1}}}));
  EXPECT_FALSE(never_negative(graph, "sum", {.signed_edges = {{sum, 0}}}));
  EXPECT_TRUE(never_negative(graph, "a", {.signed_edges = {{sum, 0}}}));
}

TEST(NonNegative, AnImageThatIsNotNormalized) {
  Network n("4x8x8");
  const Value y = n.g.global_average_pool("pool", n.x);
  const Graph graph = n.g.finish(n.g.linear("fc", y, {.out_features = 10}), 10);
  EXPECT_FALSE(never_negative(graph, "pool"));
  EXPECT_TRUE(never_negative(graph, "pool", {.image = true}));
  EXPECT_FALSE(never_negative(graph, "fc", {.image = true}));
}

}  // namespace
}  // namespace qhost
