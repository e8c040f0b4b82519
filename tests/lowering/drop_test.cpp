#include "lowering/passes/drop_dead.h"
#include "lowering/passes/drop_dropout.h"
#include "support.h"

namespace qhost {
namespace {

using test::lines;
using ::testing::ElementsAre;

TEST(DropDropout, ItsReadersReadWhatItReads) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.dropout("drop1", x);
    x = g.add("sum", g.dropout("drop2", x), g.relu("relu", x));
    return g.dropout("drop3", g.global_average_pool("pool", x));
  });
  InferenceGraph result = start_graph(graph, {});
  drop_dropout(result);
  EXPECT_THAT(lines(result), ElementsAre("input:", "relu: input", "sum: input relu", "pool: sum"));
  EXPECT_EQ(result.output, 3);
  EXPECT_EQ(why_invalid(result), "");
}

TEST(DropDead, TakesOutWhatTheOutputDoesNotDependOn) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    const Value conv = g.conv2d("conv", x, {.out_channels = 2, .kernel = 1});
    return g.global_average_pool("pool", g.add("sum", g.relu("relu", conv), x));
  });
  InferenceGraph result = start_graph(graph, {});
  drop_dead(result);
  EXPECT_EQ(result.nodes.size(), 5U);  // nothing is dead

  result.node(3).inputs[0].node = 0;  // the add reads its input twice
  drop_dead(result);
  EXPECT_THAT(lines(result), ElementsAre("input:", "sum: input input", "pool: sum"));
  EXPECT_TRUE(result.tensors.empty());
  EXPECT_EQ(result.output, 2);
}

TEST(DropDead, TheInputStays) {
  const Graph graph =
      test::network({{4}}, [](GraphBuilder& g, Value x) { return g.relu("relu", x); });
  InferenceGraph result = start_graph(graph, {});
  result.output = 0;
  drop_dead(result);
  EXPECT_THAT(lines(result), ElementsAre("input:"));
}

}  // namespace
}  // namespace qhost
