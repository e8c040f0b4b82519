#include "graph/inference_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/inference_graphs.h"
#include "qhost/error.h"

namespace qhost {
namespace {

using test::five_nodes;
using ::testing::ElementsAre;

std::vector<std::string> names(const InferenceGraph& graph) {
  std::vector<std::string> all;
  for (const InferenceNode& node : graph.nodes) all.push_back(node.name);
  return all;
}

TEST(InferenceGraph, FindsNodesReadersAndTensors) {
  const InferenceGraph graph = five_nodes();
  EXPECT_EQ(graph.find("relu"), 3);
  EXPECT_EQ(graph.find("relu2"), -1);
  EXPECT_THAT(graph.readers(1), ElementsAre(2));
  EXPECT_THAT(graph.readers(4), ElementsAre());
  EXPECT_EQ(graph.tensor(graph.node(1), "weight")->scale.size(), 3U);
  EXPECT_EQ(graph.tensor(graph.node(1), "bias"), nullptr);
}

TEST(InferenceGraph, InsertsAndRemovesNodesWithAllThatNamesThem) {
  InferenceGraph graph = five_nodes();
  graph.insert(2, test::node("extra", Op::activation, {1}, {{3, 4, 4}}, ActivationOptions{}));
  EXPECT_THAT(names(graph), ElementsAre("input", "conv", "extra", "bn", "relu", "pool"));
  EXPECT_EQ(graph.node(3).inputs[0].node, 1);
  EXPECT_EQ(graph.node(4).inputs[0].node, 3);
  EXPECT_EQ(graph.output, 5);

  graph.redirect(3, 2);  // the readers of bn now read extra
  graph.remove_if([](int index) { return index == 3; });
  EXPECT_THAT(names(graph), ElementsAre("input", "conv", "extra", "relu", "pool"));
  EXPECT_EQ(graph.node(3).inputs[0].node, 2);
  EXPECT_EQ(graph.output, 4);
  EXPECT_EQ(graph.tensors.size(), 1U);  // the tensors of the batch norm are removed
  EXPECT_EQ(why_invalid(graph), "");
}

TEST(InferenceGraph, ANodeThatIsReadStays) {
  InferenceGraph graph = five_nodes();
  try {
    graph.remove_if([](int index) { return index == 2; });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_THAT(error.what(), ::testing::StartsWith("the node bn, which relu reads, is taken out"));
  }
}

TEST(InferenceGraph, ATensorThatAnotherNodeNamesStays) {
  InferenceGraph graph = five_nodes();
  graph.node(1).tensors["bias"] = {"bn.bias"};
  graph.redirect(2, 1);
  graph.remove_if([](int index) { return index == 2; });
  EXPECT_TRUE(graph.tensors.contains("bn.bias"));
  EXPECT_EQ(why_invalid(graph), "");
}

struct Fault {
  const char* what;
  void (*make)(InferenceGraph&);
};

class Faults : public ::testing::TestWithParam<Fault> {};

TEST_P(Faults, AreNamed) {
  InferenceGraph graph = five_nodes();
  ASSERT_EQ(why_invalid(graph), "");
  GetParam().make(graph);
  EXPECT_EQ(why_invalid(graph), GetParam().what);
}

INSTANTIATE_TEST_SUITE_P(
    Each, Faults,
    ::testing::Values(
        Fault{"it has no nodes", [](InferenceGraph& g) { g = {}; }},
        Fault{"it has 0 networks, not 1 to 65536", [](InferenceGraph& g) { g.networks = 0; }},
        Fault{"its output is node 5 of 5", [](InferenceGraph& g) { g.output = 5; }},
        Fault{"its output `relu` has the shape [N,3,4,4], not one value for each class",
              [](InferenceGraph& g) { g.output = 3; }},
        Fault{"no node names the tensor `stray`",
              [](InferenceGraph& g) { g.tensors["stray"] = test::ones({1}); }},
        Fault{"the tensor `conv.weight`: it has 2 scales, and binary, scale per channel of shape "
              "[3,2,3,3] needs 3",
              [](InferenceGraph& g) { g.tensors["conv.weight"].scale.pop_back(); }},
        Fault{"the node `conv`: it reads node 3, and a node reads earlier ones only (it is node 1)",
              [](InferenceGraph& g) { g.node(1).inputs[0].node = 3; }},
        Fault{"the node `bn`: another node has its name",
              [](InferenceGraph& g) { g.node(1).name = "bn"; }},
        Fault{"the node `relu`: its options are of another operation",
              [](InferenceGraph& g) { g.node(3).options = PoolOptions{}; }},
        Fault{"the node `relu`: it has 2 inputs, which no activation has",
              [](InferenceGraph& g) { g.node(3).inputs.push_back({.node = 1}); }},
        Fault{"the node `conv`: it names the tensor `weights`, which is not there",
              [](InferenceGraph& g) { g.node(1).tensors["weight"] = {"weights"}; }},
        Fault{"the node `conv`: it names 2 tensors for its weight, and there are 3 networks",
              [](InferenceGraph& g) {
                g.networks = 3;
                g.node(1).tensors["weight"] = {"conv.weight", "conv.weight"};
              }},
        Fault{"the node `conv`: its weight `conv.weight` has the shape [N,3,2,3,3], not "
              "[N,3,2,5,5]",
              [](InferenceGraph& g) {
                g.node(1).options = Conv2dOptions{.out_channels = 3, .kernel = 5, .padding = 2};
              }},
        Fault{"the node `conv`: its shape is [N,3,4,4], and what it reads makes [N,3,2,2]",
              [](InferenceGraph& g) {
                g.node(1).options = Conv2dOptions{.out_channels = 3, .kernel = 3};
              }},
        Fault{"the node `conv`: its 2 input channels make no 3 groups",
              [](InferenceGraph& g) {
                g.node(1).options =
                    Conv2dOptions{.out_channels = 3, .kernel = 3, .padding = 1, .groups = 3};
              }},
        Fault{"the node `bn`: it has no running_var",
              [](InferenceGraph& g) {
                g.node(2).tensors.erase("running_var");
                g.tensors.erase("bn.running_var");
              }},
        Fault{"the node `bn`: its bias `bn.bias` is float16, not float32",
              [](InferenceGraph& g) {
                g.tensors["bn.bias"] = {.encoding = Encoding::float16(), .shape = {3}};
              }},
        Fault{"the node `relu`: it names tensors that no activation has",
              [](InferenceGraph& g) { g.node(3).tensors["bias"] = {"bn.bias"}; }},
        Fault{"the node `pool`: its shape is [N,4], and what it reads makes [N,3]",
              [](InferenceGraph& g) { g.node(4).shape = {{4}}; }},
        Fault{"the node `relu`: the encoding of an input is inconsistent: binary needs 1 bit, not "
              "7",
              [](InferenceGraph& g) {
                g.node(3).inputs[0].encoding = {.kind = CodeKind::binary, .bits = 7};
              }},
        Fault{"the node `conv`: fold_batch_norm was not carried out on it",
              [](InferenceGraph& g) { g.node(1).folds_batch_norm = true; }},
        Fault{"the node `conv`: add_correction_bias was not carried out on it",
              [](InferenceGraph& g) { g.node(1).corrects_bias = true; }},
        Fault{"the node `relu`: bypass_relu was not carried out on it",
              [](InferenceGraph& g) { g.node(3).inputs[0].elision = ReluElision{}; }},
        Fault{"the node `bn`: its shape [N,2147483647,1,1] has a dimension outside of 1..16777216",
              [](InferenceGraph& g) {
                g.node(2).shape = {{2147483647, 1, 1}};
              }},
        Fault{"the node `bn`: its shape [N,16777216,128,1] has more than 2^31 - 1 values",
              [](InferenceGraph& g) {
                g.node(2).shape = {{16777216, 128, 1}};
              }}));

}  // namespace
}  // namespace qhost
