// The inputs of quantizers of signed values (a sign) in each architecture: never the output of a
// ReLU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>

#include <algorithm>
#include <set>

#include "densenet/densenet.h"
#include "graph/relu_elision.h"
#include "graph/selector.h"
#include "plugins/architectures/build.h"
#include "resnet/resnet.h"
#include "vgg/vgg.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::Given;
using ::testing::ElementsAre;

// The nodes with a weight except the first and the last, which binary methods keep in float.
std::vector<const Node*> inner_layers(const Graph& graph) {
  std::vector<const Node*> layers;
  for (const Node& node : graph.nodes()) {
    if (node.op != Op::conv2d && node.op != Op::linear) continue;
    if (&node != first_weighted(graph) && &node != last_weighted(graph)) layers.push_back(&node);
  }
  return layers;
}

// The node whose values the sign is applied to.
const Node& read_by(const Graph& graph, const Node& layer) {
  const auto elision = elide_relu(graph, layer);
  return graph.node(elision ? elision->source : layer.inputs[0]);
}

std::string read_by(const Graph& graph, const std::string& layer) {
  return read_by(graph, *graph.find(layer)).name;
}

struct Case {
  const char* name;
  Architecture (*architecture)();
  Given given;
  std::set<Op> read;  // the operations that inner layers read
};

void PrintTo(const Case& which, std::ostream* out) {
  *out << which.name;
}

class SignedInputs : public ::testing::TestWithParam<Case> {};

TEST_P(SignedInputs, HaveBothSigns) {
  for (const char* activation : {"relu", "hardtanh"}) {
    Given given = GetParam().given;
    bool is_choice = false;
    for (const Option& option : GetParam().architecture().options) {
      const auto& all = option.choices();
      is_choice = is_choice || (option.name() == "activation" &&
                                std::find(all.begin(), all.end(), activation) != all.end());
    }
    if (!is_choice && std::string(activation) != "relu") continue;
    if (is_choice) given["activation"] = activation;
    const Graph graph = test::build(GetParam().architecture(), given);
    std::set<Op> read;
    for (const Node* layer : inner_layers(graph)) {
      SCOPED_TRACE(layer->name);
      ASSERT_NO_THROW(elide_relu(graph, *layer));
      const Node* source = &read_by(graph, *layer);
      // A hardtanh keeps the sign, so the node before it decides.
      while (source->op == Op::flatten || source->op == Op::max_pool ||
             (source->op == Op::activation &&
              source->as<ActivationOptions>().kind == Activation::hardtanh)) {
        source = &graph.node(source->inputs[0]);
      }
      read.insert(source->op);
    }
    EXPECT_EQ(read, GetParam().read) << activation;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, SignedInputs,
    ::testing::Values(
        Case{"ResNetA", resnet::architecture, {}, {Op::batch_norm, Op::add}},
        Case{"ResNetB", resnet::architecture, {{"shortcut", "B"}}, {Op::batch_norm, Op::add}},
        Case{"PreActResNet", resnet::architecture, {{"preactivation", true}}, {Op::batch_norm}},
        Case{"PreActResNetB",
             resnet::architecture,
             {{"preactivation", true}, {"shortcut", "B"}},
             {Op::batch_norm}},
        // the first block reads the stem's batch norm, the others a sum
        Case{"BiRealA", resnet::architecture, {{"block", "bireal"}}, {Op::batch_norm, Op::add}},
        Case{"BiRealB",
             resnet::architecture,
             {{"block", "bireal"}, {"shortcut", "B"}},
             {Op::batch_norm, Op::add, Op::average_pool}},
        Case{"PreActBiReal",
             resnet::architecture,
             {{"block", "bireal"}, {"preactivation", true}},
             {Op::batch_norm}},
        Case{"ResNet18",
             resnet::architecture,
             {{"family", "imagenet"}, {"depth", 18}},
             {Op::batch_norm, Op::add}},
        Case{"WideResNet", wideresnet::architecture, {{"dropout", 0.3}}, {Op::batch_norm}},
        Case{"DenseNetBC", densenet::architecture, {{"dropout", 0.2}}, {Op::batch_norm}},
        Case{"DenseNet",
             densenet::architecture,
             {{"depth", 40}, {"bottleneck", false}, {"compression", 1.0}},
             {Op::batch_norm}},
        Case{"BinaryConnect", vgg::architecture, {}, {Op::batch_norm}},
        Case{"VggSmall", vgg::architecture, {{"family", "small"}}, {Op::batch_norm}}),
    [](const auto& test) { return test.param.name; });

// The real values on the shortcuts are the values whose signs are convolved.
TEST(BiRealResNet, ReadsTheSumsThemselves) {
  const Graph graph = test::build(resnet::architecture(), {{"block", "bireal"}});
  EXPECT_EQ(read_by(graph, "stage1.block0.conv1"), "bn1");
  EXPECT_EQ(read_by(graph, "stage1.block0.conv2"), "stage1.block0.add1");
  EXPECT_EQ(read_by(graph, "stage1.block1.conv1"), "stage1.block0.add2");
  EXPECT_EQ(read_by(graph, "stage2.block0.conv1"), "stage1.block2.add2");
  // Only convolutions read an activation.
  for (const Node& node : graph.nodes()) {
    for (const int input : node.inputs) {
      if (graph.node(input).op != Op::activation) continue;
      EXPECT_EQ(node.op, Op::conv2d) << node.name;
    }
  }
}

TEST(PreActResNet, ReadsTheBatchNormInFrontOfEachConvolution) {
  for (const char* block : {"basic", "bireal"}) {
    const Graph graph =
        test::build(resnet::architecture(), {{"preactivation", true}, {"block", block}});
    for (const Node* layer : inner_layers(graph)) {
      std::string norm = layer->name;
      norm.replace(norm.rfind("conv"), 4, "bn");
      EXPECT_EQ(read_by(graph, layer->name), norm);
    }
  }
}

TEST(PlainNetworks, ReadABatchNormBehindThePooling) {
  const Graph graph = test::build(vgg::architecture(), {});
  std::vector<std::string> read;
  for (const Node* layer : inner_layers(graph)) read.push_back(read_by(graph, layer->name));
  EXPECT_THAT(read, ElementsAre("stage1.bn1", "stage1.bn2", "stage2.bn1", "stage2.bn2",
                                "stage3.bn1", "stage3.bn2", "hidden1.bn"));
}

}  // namespace
}  // namespace qhost
