// Errors of every call about bad names, inputs and Values.
#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using test::Network;
using test::shape;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(NameErrors, NamesAreLettersDigitsUnderscores) {
  const std::string help =
      "dots come from scopes (auto s = g.scope(\"stage1\")), and `/` is reserved for nodes that "
      "the "
      "host inserts";
  for (const std::string name : {"", "a b", "conv1/bias", "a.b", "*", "caf\u00e9"}) {
    Network n;
    EXPECT_THAT(error_of([&] { n.g.relu(name, n.x); }),
                is_graph_error(name + " (relu): `" + name +
                                   "` is not a name: a name is letters, digits and underscores",
                               help))
        << name;
  }
}

TEST(NameErrors, ScopesAreNamedAlike) {
  Network n;
  auto outer = n.g.scope("stage1");
  EXPECT_THAT(
      error_of([&] { auto inner = n.g.scope("block0.unit"); }),
      is_graph_error("stage1.block0.unit (scope): `block0.unit` is not a name: a name is letters, "
                     "digits and underscores",
                     "open one scope for each part of a path"));
}

TEST(NameErrors, DuplicateShowsBothLines) {
  Network n;
  const auto make = [&] {
    auto scope = n.g.scope("block");
    return n.g.relu("act", n.x);
  };
  make();
  const int first = __LINE__ - 3;
  const int second = __LINE__ + 3;
  const std::string text = error_of([&] {
    auto scope = n.g.scope("block");
    n.g.dropout("act", n.x);
  });
  EXPECT_THAT(text, is_graph_error("block.act (dropout): the name is taken",
                                   "give each node its own name, or each block its own scope"));
  EXPECT_THAT(text, HasSubstr("_test.cpp:" + std::to_string(second) + ":"));
  EXPECT_THAT(text,
              HasSubstr("\n  first = block.act  relu   -> [N,16,8,8]  value_errors_test.cpp:" +
                        std::to_string(first) + "\n"));
}

TEST(ValueErrors, EmptyValue) {
  Network n;
  const std::string text = error_of([&] { n.g.add("sum", n.x, Value()); });
  EXPECT_THAT(text, is_graph_error("sum (add): b is an empty Value that no builder call made",
                                   "pass a Value that a call of this same builder returned"));
  EXPECT_THAT(text, HasSubstr("\n  a = input  input  -> [N,16,8,8]"));
  EXPECT_THAT(text, HasSubstr("\n  b = an empty Value that no builder call made\n"));
}

TEST(ValueErrors, ValueOfAnotherBuilderIsNamed) {
  Network n, other("3x4x4");
  const Value foreign = other.g.relu("theirs", other.x);
  const std::string text = error_of([&] { n.g.relu("mine", foreign); });
  EXPECT_THAT(text,
              HasSubstr(": error: mine (relu): x is the Value `theirs` of another GraphBuilder "
                        "(relu -> [N,3,4,4], "));
  EXPECT_THAT(text, HasSubstr("value_errors_test.cpp:" + std::to_string(__LINE__ - 5) + ")"));
}

TEST(ValueErrors, ValueThatOutlivedItsBuilder) {
  Network n;
  Value orphan;
  {
    Network other;
    orphan = other.x;
  }
  EXPECT_THAT(error_of([&] { n.g.relu("r", orphan); }),
              HasSubstr("x is a Value of another GraphBuilder that no longer exists"));
  EXPECT_EQ(error_of([&] { orphan.shape(); }),
            "shape() of a Value whose GraphBuilder no longer exists\n"
            "help: ask for the shape of a Value that a builder call returned");
  EXPECT_EQ(error_of([&] { n.g.shape(orphan); }),
            "shape() of a Value of another GraphBuilder that no longer exists\n"
            "help: ask for the shape of a Value that a call of this same builder returned");
}

TEST(ValueErrors, ShapeOfAnEmptyValue) {
  Network n;
  EXPECT_EQ(error_of([] { Value().shape(); }),
            "shape() of an empty Value that no builder call made\n"
            "help: ask for the shape of a Value that a builder call returned");
  EXPECT_THAT(error_of([&] { n.g.shape(Value()); }),
              StartsWith("shape() of an empty Value that no builder call made\n"));
}

TEST(InputErrors, ShapeMustBeImageOrFeatures) {
  for (const char* text : {"4x4", "2x3x4x5"}) {
    GraphBuilder g;
    EXPECT_THAT(error_of([&] { g.input(shape(text)); }),
                is_graph_error("input: the input " + to_string(shape(text)) +
                                   " is neither an image {C,H,W} nor features {F}",
                               "give three dimensions, or one"));
  }
  GraphBuilder g;
  EXPECT_THAT(error_of([&] { g.input(Shape{}); }), HasSubstr("the input [N] is neither"));
  EXPECT_THAT(error_of([&] {
                g.input(Shape{{3, 0, 8}});
              }),
              is_graph_error("input: the input [N,3,0,8] has a dimension below 1",
                             "give dimensions of 1 or more"));
  EXPECT_THAT(error_of([&] { g.input(shape("4000000000x1x1")); }),
              is_graph_error("input: the output would be [N,4000000000,1,1], above the limit of "
                             "2147483647 values",
                             "use fewer or smaller channels"));
}

TEST(InputErrors, OneInputOnly) {
  Network n;
  EXPECT_THAT(error_of([&] { n.g.input(shape("3x8x8")); }),
              is_graph_error("input: the name is taken",
                             "give each node its own name, or each block its own scope"));
  auto scope = n.g.scope("second");
  EXPECT_THAT(error_of([&] { n.g.input(shape("3x8x8")); }),
              is_graph_error("second.input: the network has an input already",
                             "a network has one input: use its Value"));
}

TEST(InputErrors, NodesNeedTheInputFirst) {
  GraphBuilder g;
  EXPECT_THAT(error_of([&] { g.concat("cat", {}); }),
              is_graph_error("cat (concat): the network has no input yet", "call input() first"));
}

}  // namespace
}  // namespace qhost
