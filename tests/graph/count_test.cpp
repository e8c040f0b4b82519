// Compares counts with numbers computed by hand.
#include "graph/count.h"

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::Network;

TEST(Counts, ConvolutionByHand) {
  Network n("16x8x8");
  Value y = n.g.conv2d("conv", n.x,
                       {.out_channels = 32,
                        .kernel = {3, 5},
                        .stride = 2,
                        .padding = {1, 2},
                        .groups = 4,
                        .bias = true});
  y = n.g.linear("fc", n.g.global_average_pool("p", y), {.out_features = 10});
  const Graph graph = n.g.finish(y, 10);
  // weight [32, 4, 3, 5], output [32, 4, 4]
  EXPECT_EQ(count(graph, *graph.find("conv")), (Count{.parameters = 32 * 4 * 15 + 32,
                                                      .buffers = 0,
                                                      .macs = 32 * 4 * 4 * (4 * 15),
                                                      .activation_bytes = 32 * 4 * 4 * 4}));
  EXPECT_EQ(count(graph, *graph.find("fc")),
            (Count{.parameters = 330, .buffers = 0, .macs = 320, .activation_bytes = 40}));
  EXPECT_EQ(count(graph, *graph.find("p")),
            (Count{.parameters = 0, .buffers = 0, .macs = 0, .activation_bytes = 128}));
}

TEST(Counts, BatchNormStatisticsAreBuffers) {
  Network n("12");
  const Graph graph = n.g.finish(n.g.batch_norm("bn", n.x), 12);
  EXPECT_EQ(count(graph, *graph.find("bn")),
            (Count{.parameters = 24, .buffers = 24, .macs = 0, .activation_bytes = 48}));
}

TEST(Counts, TotalsAreTheSums) {
  Network n("16x8x8");
  Value y = n.g.batch_norm("bn", n.g.conv2d("conv", n.x, {.out_channels = 8, .kernel = 1}));
  y = n.g.linear("fc", n.g.flatten("flat", y), {.out_features = 10});
  const Graph graph = n.g.finish(y, 10);
  const GraphCount counts = count(graph);
  ASSERT_EQ(counts.nodes.size(), graph.nodes().size());
  EXPECT_EQ(counts.total.parameters, 16 * 8 + 16 + 512 * 10 + 10);
  EXPECT_EQ(counts.total.buffers, 16);
  EXPECT_EQ(counts.total.macs, 64 * 8 * 16 + 5120);
  EXPECT_EQ(counts.total.activation_bytes, 4 * (1024 + 512 + 512 + 512 + 10));
}

class Doubling : public CustomOpBase {
 public:
  std::string type() const override { return "doubling"; }
  Shape infer(const std::vector<Shape>& inputs) const override {
    return {{2 * inputs.at(0).channels()}};
  }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>&) const override {
    return {{.name = "w", .shape = {3, 2}}, {.name = "state", .shape = {7}, .trainable = false}};
  }
  std::int64_t macs(const std::vector<Shape>& inputs) const override {
    return 100 * inputs.at(0).channels();
  }
};

TEST(Counts, CustomNodesCountThemselves) {
  Network n("5");
  const Graph graph = n.g.finish(n.g.custom("c", {n.x}, std::make_shared<Doubling>()), 10);
  EXPECT_EQ(count(graph, graph.output()),
            (Count{.parameters = 6, .buffers = 7, .macs = 500, .activation_bytes = 40}));
}

TEST(Peak, OfAChainIsItsLargestPair) {
  Network n("4x8x8");                                                          // 1024 bytes
  Value y = n.g.conv2d("wide", n.x, {.out_channels = 16, .kernel = 1});        // 4096
  y = n.g.conv2d("narrow", y, {.out_channels = 2, .kernel = 1});               // 512
  y = n.g.linear("fc", n.g.global_average_pool("p", y), {.out_features = 2});  // 8, 8
  const GraphCount counts = count(n.g.finish(y, 2));
  EXPECT_EQ(counts.peak_activation_bytes, 1024 + 4096);
}

TEST(Peak, AShortcutStaysAliveUntilItIsAdded) {
  Network n("4x8x8");                                                // 1024
  Value y = n.g.conv2d("a", n.x, {.out_channels = 8, .kernel = 1});  // 2048
  y = n.g.conv2d("b", y, {.out_channels = 4, .kernel = 1});          // 1024
  y = n.g.add("add", y, n.x);                                        // 1024
  y = n.g.global_average_pool("p", y);                               // 16
  const GraphCount counts = count(n.g.finish(y, 4));
  EXPECT_EQ(counts.peak_activation_bytes, 1024 + 2048 + 1024);  // at b
}

TEST(Peak, ReadTwiceIsFreedOnce) {
  Network n("256");                                            // 1024
  const Value y = n.g.add("twice", n.x, n.x);                  // 1024
  const Value z = n.g.linear("fc", y, {.out_features = 256});  // 1024
  EXPECT_EQ(count(n.g.finish(z, 256)).peak_activation_bytes, 2048);
}

TEST(Peak, TheOutputIsKept) {
  Network n("64");  // 256
  EXPECT_EQ(count(n.g.finish(n.x, 64)).peak_activation_bytes, 256);
}

}  // namespace
}  // namespace qhost
