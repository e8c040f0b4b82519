// Errors of finish().
#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using test::Network;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Finish, NeedsOneFeatureForEachClass) {
  Network n("64");
  const Value y = n.g.linear("fc", n.x, {.out_features = 100});
  const int line = __LINE__ - 1;
  const std::string text = error_of([&] { n.g.finish(y, 10); });
  EXPECT_THAT(text, is_graph_error(
                        "fc (linear): the output has 100 features, but the data set has 10 classes",
                        "set the last layer's features to the context's `classes`"));
  // The place is that of the layer, where the number must be changed, not that of finish().
  EXPECT_THAT(text, HasSubstr("finish_test.cpp:" + std::to_string(line) + ":"));
  EXPECT_THAT(text, HasSubstr("\n  output = fc  linear  -> [N,100]"));
}

TEST(Finish, NeedsFeatures) {
  Network n;
  const Value y = n.g.relu("relu", n.x);
  EXPECT_THAT(
      error_of([&] { n.g.finish(y, 10); }),
      is_graph_error("relu: the output is the image [N,16,8,8], not one value for each of 10 "
                     "classes",
                     "end with global_average_pool or flatten, then linear to 10"));
}

TEST(Finish, NeedsClasses) {
  Network n("10");
  EXPECT_THAT(error_of([&] { n.g.finish(n.x, 0); }),
              is_graph_error("input: the number of classes is 0, below the minimum 1",
                             "give the number of classes of the data set"));
}

TEST(Finish, NeedsAValueOfItsOwn) {
  Network n("10"), other("10");
  EXPECT_THAT(error_of([&] { n.g.finish(Value(), 10); }),
              is_graph_error("finish: output is an empty Value that no builder call made",
                             "return the Value that a call of this same builder returned last"));
  EXPECT_THAT(error_of([&] { n.g.finish(other.x, 10); }),
              HasSubstr("output is the Value `input` of another GraphBuilder"));
}

TEST(Finish, EveryNodeMustReachTheOutput) {
  Network n("10");
  const Value y = n.g.linear("fc", n.x, {.out_features = 10});
  const Value lost = n.g.relu("lost", n.x);
  n.g.relu("side", n.g.dropout("lost2", lost));
  n.g.relu("after", y);
  const std::string text = error_of([&] { n.g.finish(y, 10); });
  EXPECT_THAT(text, is_graph_error("side (relu): does not reach the output `fc`",
                                   "pass its Value on, or remove the node"));
  // The error names the ends of the branches, not the nodes before them.
  EXPECT_THAT(text, AllOf(HasSubstr("\n  unread = side"), HasSubstr("\n  unread = after"),
                          HasSubstr("\n  output = fc"), Not(HasSubstr("unread = lost"))));
}

TEST(Finish, EndsTheBuilding) {
  Network n("10");
  const Value y = n.g.linear("fc", n.x, {.out_features = 10});
  const Graph graph = n.g.finish(y, 10);
  const std::string line = std::to_string(__LINE__ - 1);
  EXPECT_EQ(graph.output().name, "fc");
  EXPECT_THAT(error_of([&] { n.g.finish(y, 10); }),
              AllOf(HasSubstr(": error: finish: the graph was finished before, at "),
                    HasSubstr("finish_test.cpp:" + line + "\n"),
                    HasSubstr("help: call finish() once; a second network needs a GraphBuilder of "
                              "its own")));
  EXPECT_THAT(error_of([&] { n.g.relu("late", y); }),
              AllOf(HasSubstr(": error: late (relu): the graph was finished before, at "),
                    HasSubstr("help: add every node before finish(); a second network needs a "
                              "GraphBuilder of its own")));
}

TEST(Finish, OutputMayBeReadByOthersThatReachIt) {
  Network n("10");
  const Value a = n.g.relu("a", n.x);
  const Value y = n.g.add("y", a, n.g.relu("b", a));
  EXPECT_EQ(n.g.finish(y, 10).nodes().size(), 4u);
}

}  // namespace
}  // namespace qhost
