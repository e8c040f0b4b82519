// The structure of the networks, where counts do not distinguish them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "densenet/densenet.h"
#include "plugins/architectures/build.h"
#include "resnet/blocks.h"
#include "resnet/resnet.h"
#include "vgg/vgg.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::build;
using test::Given;
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
    EXPECT_EQ(one.parameters[0].init, Initialization::kaiming_normal_fan_in) << one.name;
  }
  const Graph resnet18 = build(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}});
  EXPECT_EQ(node(resnet18, "conv1").parameters[0].init, Initialization::kaiming_normal_fan_out);
  EXPECT_EQ(node(resnet18, "fc").parameters[0].init, Initialization::torch_default);
}

TEST(ResNetBlocks, AKindMayPutAShortcutAroundEachConvolution) {
  using resnet::Order;
  for (const Order order : {Order::c_b_a, Order::b_a_c, Order::a_c_b}) {
    GraphBuilder g;
    Value x = g.input({{16, 8, 8}});
    const resnet::BlockKind kind = {.units = {1, 1}, .order = order};
    x = resnet::block(g, x, kind, 32, 2);
    EXPECT_EQ(x.shape(), (Shape{{32, 4, 4}}));
    x = g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10});
    const Graph graph = g.finish(x, 10);
    EXPECT_EQ(test::number_of(graph, Op::add), 2);
    EXPECT_EQ(test::number_of(graph, Op::conv2d), 2);
    EXPECT_EQ(test::number_of(graph, Op::subsample), 1);  // the first unit changes the shape
    EXPECT_EQ(inputs(graph, "add2")[1], order == Order::c_b_a ? "relu1" : "add1");
  }
}

TEST(BiRealStructure, OfTheSmallestNetwork) {
  const Graph graph = build(resnet::architecture(), {{"depth", 8}, {"block", "bireal"}});
  EXPECT_THAT(names_of(graph),
              ElementsAre("input", "conv1", "bn1",  //
                          "stage1.block0.relu1", "stage1.block0.conv1", "stage1.block0.bn1",
                          "stage1.block0.add1", "stage1.block0.relu2", "stage1.block0.conv2",
                          "stage1.block0.bn2", "stage1.block0.add2",  //
                          "stage2.block0.relu1", "stage2.block0.conv1", "stage2.block0.bn1",
                          "stage2.block0.shortcut1", "stage2.block0.add1", "stage2.block0.relu2",
                          "stage2.block0.conv2", "stage2.block0.bn2", "stage2.block0.add2",  //
                          "stage3.block0.relu1", "stage3.block0.conv1", "stage3.block0.bn1",
                          "stage3.block0.shortcut1", "stage3.block0.add1", "stage3.block0.relu2",
                          "stage3.block0.conv2", "stage3.block0.bn2", "stage3.block0.add2",  //
                          "pool", "fc"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add1"), ElementsAre("stage1.block0.bn1", "bn1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add2"),
              ElementsAre("stage1.block0.bn2", "stage1.block0.add1"));
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut1"), ElementsAre("stage1.block0.add2"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add1"),
              ElementsAre("stage2.block0.bn1", "stage2.block0.shortcut1"));
  EXPECT_EQ(node(graph, "stage2.block0.conv1").as<Conv2dOptions>().stride, Size2(2));
  EXPECT_EQ(node(graph, "stage2.block0.conv2").as<Conv2dOptions>().stride, Size2(1));
}

TEST(BiRealStructure, BShortcutTakesMeansOfTheRealValues) {
  const Given given = {{"depth", 8}, {"block", "bireal"}, {"shortcut", "B"}};
  const Graph graph = build(resnet::architecture(), given);
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut1.pool"), ElementsAre("stage1.block0.add2"));
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut1.conv"),
              ElementsAre("stage2.block0.shortcut1.pool"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add1"),
              ElementsAre("stage2.block0.bn1", "stage2.block0.shortcut1.bn"));
  const auto pool = [](const Graph& of) {
    return node(of, "stage2.block0.shortcut1.pool").as<PoolOptions>();
  };
  EXPECT_EQ(pool(graph).kernel, Size2(2));
  EXPECT_EQ(pool(graph).stride, Size2(2));
  EXPECT_EQ(pool(graph).padding, Size2(0));
  EXPECT_EQ(node(graph, "stage2.block0.shortcut1.conv").as<Conv2dOptions>().stride, Size2(1));
  // 5 rows become 3, as behind the convolution of stride 2
  EXPECT_EQ(pool(build(resnet::architecture(), given, 10, {{3, 5, 8}})).padding, Size2(1, 0));
}

TEST(BiRealStructure, PreactivationPutsTheNormInFront) {
  const Graph graph =
      build(resnet::architecture(),
            {{"depth", 8}, {"block", "bireal"}, {"preactivation", true}, {"shortcut", "B"}});
  EXPECT_THAT(inputs(graph, "stage1.block0.bn1"), ElementsAre("conv1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.relu1"), ElementsAre("stage1.block0.bn1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.conv1"), ElementsAre("stage1.block0.relu1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.add1"), ElementsAre("stage1.block0.conv1", "conv1"));
  EXPECT_THAT(inputs(graph, "stage1.block0.bn2"), ElementsAre("stage1.block0.add1"));
  EXPECT_THAT(inputs(graph, "stage2.block0.shortcut1.pool"), ElementsAre("stage1.block0.add2"));
  EXPECT_THAT(inputs(graph, "stage2.block0.add1"),
              ElementsAre("stage2.block0.conv1", "stage2.block0.shortcut1.conv"));
  EXPECT_THAT(inputs(graph, "relu"), ElementsAre("bn"));
  EXPECT_THAT(inputs(graph, "bn"), ElementsAre("stage3.block0.add2"));
}

TEST(ResNetStructure, ActivationIsReplacedEverywhere) {
  for (bool preactivation : {false, true}) {
    const Graph graph = build(resnet::architecture(),
                              {{"activation", "hardtanh"}, {"preactivation", preactivation}});
    EXPECT_EQ(test::number_of(graph, Op::activation), 19);
    for (const Node& one : graph.nodes()) {
      if (one.op != Op::activation) continue;
      EXPECT_EQ(one.as<ActivationOptions>().kind, Activation::hardtanh);
      EXPECT_THAT(one.name, ::testing::HasSubstr("hardtanh"));
    }
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

TEST(DenseNetStructure, OfASmallNetworkWithBottlenecks) {
  const Graph graph = build(densenet::architecture(), {{"depth", 10}});
  EXPECT_THAT(names_of(graph),
              ElementsAre("input", "conv1",  //
                          "block1.layer0.bn1", "block1.layer0.relu1", "block1.layer0.conv1",
                          "block1.layer0.bn2", "block1.layer0.relu2", "block1.layer0.conv2",
                          "block1.layer0.concat",  //
                          "transition1.bn", "transition1.relu", "transition1.conv",
                          "transition1.pool",  //
                          "block2.layer0.bn1", "block2.layer0.relu1", "block2.layer0.conv1",
                          "block2.layer0.bn2", "block2.layer0.relu2", "block2.layer0.conv2",
                          "block2.layer0.concat",  //
                          "transition2.bn", "transition2.relu", "transition2.conv",
                          "transition2.pool",  //
                          "block3.layer0.bn1", "block3.layer0.relu1", "block3.layer0.conv1",
                          "block3.layer0.bn2", "block3.layer0.relu2", "block3.layer0.conv2",
                          "block3.layer0.concat",  //
                          "bn", "relu", "pool", "fc"));
  EXPECT_EQ(node(graph, "conv1").shape, (Shape{{24, 32, 32}}));
  EXPECT_EQ(node(graph, "block1.layer0.conv1").shape, (Shape{{48, 32, 32}}));
  EXPECT_EQ(node(graph, "block1.layer0.conv2").shape, (Shape{{12, 32, 32}}));
  EXPECT_THAT(inputs(graph, "block1.layer0.concat"), ElementsAre("conv1", "block1.layer0.conv2"));
  EXPECT_EQ(node(graph, "transition1.conv").shape, (Shape{{18, 32, 32}}));
  EXPECT_EQ(node(graph, "transition1.pool").op, Op::average_pool);
  EXPECT_EQ(node(graph, "transition1.pool").shape, (Shape{{18, 16, 16}}));
}

TEST(DenseNetStructure, EachLayerReadsAllBeforeIt) {
  const Graph graph =
      build(densenet::architecture(),
            {{"depth", 10}, {"bottleneck", false}, {"compression", 1.0}, {"growth_rate", 5}});
  EXPECT_EQ(node(graph, "conv1").shape, (Shape{{16, 32, 32}}));
  EXPECT_THAT(inputs(graph, "block1.layer1.bn1"), ElementsAre("block1.layer0.concat"));
  EXPECT_THAT(inputs(graph, "block1.layer1.concat"),
              ElementsAre("block1.layer0.concat", "block1.layer1.conv1"));
  EXPECT_EQ(node(graph, "block1.layer1.concat").shape, (Shape{{26, 32, 32}}));
  EXPECT_EQ(node(graph, "transition1.conv").shape, (Shape{{26, 32, 32}}));
  EXPECT_EQ(graph.find("block1.layer0.conv2"), nullptr);
}

// The 2k channels belong to DenseNet-BC: with bottlenecks alone, or compression alone, there are
// 16.
TEST(DenseNetStructure, StemIsThatOfTheVariant) {
  const auto stem = [](bool bottleneck, double compression) {
    const Graph graph =
        build(densenet::architecture(),
              {{"depth", 10}, {"bottleneck", bottleneck}, {"compression", compression}});
    return node(graph, "conv1").shape.channels();
  };
  EXPECT_EQ(stem(true, 0.5), 24);
  EXPECT_EQ(stem(true, 1), 16);
  EXPECT_EQ(stem(false, 0.5), 16);
  EXPECT_EQ(stem(false, 1), 16);
}

TEST(DenseNetStructure, DropoutFollowsEveryConvolutionButTheFirst) {
  for (bool bottleneck : {false, true}) {
    const Graph graph = build(densenet::architecture(),
                              {{"depth", 10}, {"bottleneck", bottleneck}, {"dropout", 0.2}});
    for (const Node& one : graph.nodes()) {
      if (one.op != Op::conv2d || one.name == "conv1") continue;
      const std::vector<int> readers = graph.consumers(one.id);
      ASSERT_EQ(readers.size(), 1U) << one.name;
      EXPECT_EQ(graph.node(readers[0]).op, Op::dropout) << one.name;
      EXPECT_EQ(graph.node(readers[0]).as<DropoutOptions>().probability, 0.2);
    }
    EXPECT_EQ(graph.consumers(node(graph, "conv1").id).size(), 2U);  // batch norm and concat
    EXPECT_EQ(test::number_of(graph, Op::dropout), test::number_of(graph, Op::conv2d) - 1);
  }
}

TEST(VggStructure, OfTheBinaryConnectNetwork) {
  const Graph graph = build(vgg::architecture(), {});
  EXPECT_THAT(names_of(graph),
              ElementsAre("input",  //
                          "stage1.conv1", "stage1.bn1", "stage1.relu1", "stage1.conv2",
                          "stage1.pool", "stage1.bn2", "stage1.relu2",  //
                          "stage2.conv1", "stage2.bn1", "stage2.relu1", "stage2.conv2",
                          "stage2.pool", "stage2.bn2", "stage2.relu2",  //
                          "stage3.conv1", "stage3.bn1", "stage3.relu1", "stage3.conv2",
                          "stage3.pool", "stage3.bn2", "stage3.relu2",  //
                          "flatten", "hidden1.fc", "hidden1.bn", "hidden1.relu", "hidden2.fc",
                          "hidden2.bn", "hidden2.relu", "fc", "bn"));
  for (const Node& one : graph.nodes()) {
    if (one.op == Op::batch_norm) {
      EXPECT_EQ(one.as<BatchNormOptions>().epsilon, 1e-4) << one.name;
    }
    if (one.op != Op::conv2d && one.op != Op::linear) continue;
    EXPECT_EQ(one.parameters.size(), 1U) << one.name << " has a bias";
    EXPECT_EQ(one.parameters[0].init, Initialization::glorot_uniform) << one.name;
  }
  EXPECT_EQ(graph.output().name, "bn");
  EXPECT_EQ(node(graph, "stage3.pool").shape, (Shape{{512, 4, 4}}));
}

TEST(VggStructure, OfVggSmall) {
  const Graph graph = build(vgg::architecture(), {{"family", "small"}, {"activation", "hardtanh"}});
  EXPECT_THAT(inputs(graph, "fc"), ElementsAre("flatten"));
  EXPECT_THAT(inputs(graph, "flatten"), ElementsAre("stage3.hardtanh2"));
  EXPECT_EQ(graph.output().name, "fc");
  EXPECT_EQ(node(graph, "fc").parameters.size(), 2U);
  EXPECT_EQ(node(graph, "fc").parameters[0].shape, (std::vector<std::int64_t>{10, 8192}));
  EXPECT_EQ(node(graph, "stage1.bn1").as<BatchNormOptions>().epsilon, 1e-5);
  EXPECT_EQ(test::number_of(graph, Op::activation), 6);
  EXPECT_EQ(node(graph, "stage2.hardtanh1").as<ActivationOptions>().kind, Activation::hardtanh);
}

}  // namespace
}  // namespace qhost
