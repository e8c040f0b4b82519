#include "lowering/passes/count_networks.h"

#include "support.h"

namespace qhost {
namespace {

TEST(CountNetworks, FromTheFirstSampledLayerOn) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    const Value stem = g.conv2d("stem", x, {.out_channels = 3, .kernel = 1});
    x = g.conv2d("sampled", g.relu("relu", stem), {.out_channels = 3, .kernel = 1});
    const Value side = g.max_pool("side", stem, {.kernel = 3, .stride = 1, .padding = 1});
    return g.global_average_pool("pool", g.add("sum", x, side));
  });
  Encoding encoding = Encoding::binary(ScaleKind::none);
  encoding.ensemble_size = 5;
  InferenceGraph result = start_graph(graph, {{"sampled", {.weight = encoding}}});
  count_networks(result);
  const auto networks = [&](const char* name) { return test::at(result, name).networks; };
  for (const char* name : {"input", "stem", "relu", "side"}) EXPECT_EQ(networks(name), 1) << name;
  for (const char* name : {"sampled", "sum", "pool"}) EXPECT_EQ(networks(name), 5) << name;

  // With a sampled input, the node that reads it also runs once per member.
  encoding.ensemble_size = 3;
  result = start_graph(graph, {{"side", {.input = encoding}}});
  count_networks(result);
  EXPECT_EQ(networks("stem"), 1);
  EXPECT_EQ(networks("sampled"), 1);
  EXPECT_EQ(networks("side"), 3);
  EXPECT_EQ(networks("sum"), 3);
}

}  // namespace
}  // namespace qhost
