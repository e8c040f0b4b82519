// How the networks are wired, where counts cannot tell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/architectures/build.h"
#include "resnet/blocks.h"
#include "resnet/resnet.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::build;
using ::testing::ElementsAre;

const Node& node(const Graph& graph, const std::string& name) {
  const Node* found = graph.find(name);
  if (found == nullptr) throw std::out_of_range("no node " + name);
  return *found;
}

std::vector<std::string> inputs(const Graph& graph, const std::string& name) {
  std::vector<std::string> names;
  for (int id : node(graph, name).inputs) names.push_back(graph.node(id).name);
  return names;
}

std::vector<std::string> names_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& one : graph.nodes()) names.push_back(one.name);
  return names;
}

TEST(ResNetStructure, OfTheSmallestNetwork) {
  const Graph graph = build(resnet::architecture(), {{"depth", 8}});
  EXPECT_THAT(names_of(graph),
              ElementsAre("input", "conv1", "bn1", "relu1",  //
                          "stage1.block0.conv1", "stage1.block0.bn1", "stage1.block0.relu1",
                          "stage1.block0.conv2", "stage1.block0.bn2", "stage1.block0.add",
                          "stage1.block0.relu2",  //
                          "stage2.block0.conv1", "stage2.block0.bn1", "stage2.block0.relu1",
                          "stage2.block0.conv2", "stage2.block0.bn2", "stage2.block0.shortcut",
                          "stage2.block0.add", "stage2.block0.relu2",  //
                          "stage3.block0.conv1", "stage3.block0.bn1", "stage3.block0.relu1",
                          "stage3.block0.conv2", "stage3.block0.bn2", "stage3.block0.shortcut",
                          "stage3.block0.add", "stage3.block0.relu2",  //
                          "pool", "fc"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add"), ElementsAre("stage1.block0.bn2", "relu1"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add"),
              ElementsAre("stage2.block0.bn2", "stage2.block0.shortcut"));
  EXPECT_EQ(node(graph, "stage2.block0.shortcut").op, Op::subsample);
  EXPECT_EQ(node(graph, "stage2.block0.conv1").shape, (Shape{{32, 16, 16}}));
  EXPECT_EQ(node(graph, "stage2.block0.conv2").as<Conv2dOptions>().stride, Size2(1));
}

TEST(ResNetStructure, BShortcutHasConvolutionAndNorm) {
  const Graph graph = build(resnet::architecture(), {{"depth", 8}, {"shortcut", "B"}});
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut.conv"), ElementsAre("stage1.block0.relu2"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add"),
              ElementsAre("stage2.block0.bn2", "stage2.block0.shortcut.bn"));
  EXPECT_EQ(graph.find("stage1.block0.shortcut.conv"), nullptr);
}

TEST(ResNetStructure, AutoShortcutIsTheFamilys) {
  EXPECT_EQ(test::number_of(build(resnet::architecture(), {}), Op::subsample), 2);
  const Graph resnet18 = build(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}});
  EXPECT_EQ(test::number_of(resnet18, Op::subsample), 0);
  const Graph with_a =
      build(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}, {"shortcut", "A"}});
  EXPECT_EQ(test::number_of(with_a, Op::subsample), 3);
  EXPECT_EQ(test::number_of(with_a, Op::conv2d), 17);
}

TEST(ResNetStructure, PreactivatedShortcutReadsThePreactivatedTensor) {
  const Graph graph = build(resnet::architecture(),
                            {{"family", "imagenet"}, {"depth", 18}, {"preactivation", true}});
  EXPECT_THAT(inputs(graph, "stage1.block0.bn1"), ElementsAre("conv1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add"), ElementsAre("stage1.block0.conv2", "conv1"));
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut.conv"), ElementsAre("stage2.block0.relu1"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add"),
              ElementsAre("stage2.block0.conv2", "stage2.block0.shortcut.conv"));
  EXPECT_THAT(inputs(graph, "pool"), ElementsAre("stage4.block1.add"));
}

TEST(ResNetStructure, PreactivatedCifarNetworkEndsWithNorm) {
  const Graph graph = build(resnet::architecture(), {{"preactivation", true}});
  EXPECT_THAT(inputs(graph, "pool"), ElementsAre("relu"));
  EXPECT_THAT(inputs(graph, "relu"), ElementsAre("bn"));
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut"), ElementsAre("stage2.block0.relu1"));
}

TEST(ResNetStructure, WeightsStartAsPublished) {
  const Graph cifar = build(resnet::architecture(), {{"shortcut", "B"}});
  for (const Node& one : cifar.nodes()) {
    if (one.op != Op::conv2d && one.op != Op::linear) continue;
    EXPECT_EQ(one.parameters[0].init, Initialisation::kaiming_normal_fan_in) << one.name;
  }
  const Graph resnet18 = build(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}});
  EXPECT_EQ(node(resnet18, "conv1").parameters[0].init, Initialisation::kaiming_normal_fan_out);
  EXPECT_EQ(node(resnet18, "fc").parameters[0].init, Initialisation::framework_default);
}

TEST(ResNetBlocks, AKindMayPutAShortcutAroundEachConvolution) {
  for (bool preactivation : {false, true}) {
    GraphBuilder g;
    Value x = g.input({{16, 8, 8}});
    const resnet::BlockKind kind = {.units = {1, 1}, .preactivation = preactivation};
    x = resnet::block(g, x, kind, 32, 2);
    EXPECT_EQ(x.shape(), (Shape{{32, 4, 4}}));
    x = g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10});
    const Graph graph = g.finish(x, 10);
    EXPECT_EQ(test::number_of(graph, Op::add), 2);
    EXPECT_EQ(test::number_of(graph, Op::conv2d), 2);
    EXPECT_EQ(test::number_of(graph, Op::subsample), 1);  // the first unit changes the shape
    EXPECT_EQ(inputs(graph, "add2")[1], preactivation ? "add1" : "relu1");
  }
}

TEST(WideResNetStructure, OfABlockThatChangesTheShape) {
  const Graph graph =
      build(wideresnet::architecture(), {{"depth", 10}, {"widen_factor", 2}, {"dropout", 0.3}});
  EXPECT_THAT(inputs(graph, "stage1.block0.bn1"), ElementsAre("conv1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.shortcut"), ElementsAre("stage1.block0.relu1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.conv1"), ElementsAre("stage1.block0.relu1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.dropout"), ElementsAre("stage1.block0.relu2"));
  EXPECT_THAT(inputs(graph, "stage1.block0.conv2"), ElementsAre("stage1.block0.dropout"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add"),
              ElementsAre("stage1.block0.conv2", "stage1.block0.shortcut"));
  EXPECT_EQ(node(graph, "stage1.block0.dropout").as<DropoutOptions>().probability, 0.3);
  EXPECT_THAT(inputs(graph, "pool"), ElementsAre("relu"));
  EXPECT_THAT(inputs(graph, "relu"), ElementsAre("bn"));
}

TEST(WideResNetStructure, OfABlockThatKeepsTheShape) {
  const Graph graph = build(wideresnet::architecture(), {{"depth", 16}, {"widen_factor", 1}});
  EXPECT_THAT(inputs(graph, "stage1.block0.add"), ElementsAre("stage1.block0.conv2", "conv1"));
  EXPECT_THAT(inputs(graph, "stage2.block1.add"),
              ElementsAre("stage2.block1.conv2", "stage2.block0.add"));
  EXPECT_EQ(test::number_of(graph, Op::dropout), 0);
}

}  // namespace
}  // namespace qhost
