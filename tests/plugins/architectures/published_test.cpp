// The tensor names of published implementations of the networks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "densenet/densenet.h"
#include "plugins/architectures/build.h"
#include "resnet/resnet.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::build;
using test::Given;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Pairs = std::map<std::string, std::string>;

StateDictKeyMap names_in(const Architecture& architecture, const std::string& source) {
  for (const StateDictKeyMap& one : architecture.published) {
    if (one.source == source) return one;
  }
  throw std::out_of_range(architecture.name + " knows no names of " + source);
}

/// The published names of a network; those in `expected` are compared. No name may occur twice.
void expect_names(const Architecture& architecture, const std::string& source, const Given& given,
                  const Pairs& expected) {
  SCOPED_TRACE(source);
  const StateDictKeyMap names = names_in(architecture, source);
  const Options options = Options::from(architecture.options, given);
  std::set<std::string> there;
  Pairs found;
  const Graph graph = build(architecture, given);
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      const std::string own = node.name + "." + spec.name, name = names.name_of(own, options);
      EXPECT_FALSE(name.empty()) << own;
      EXPECT_TRUE(there.insert(name).second) << own << " is " << name << " too";
      if (expected.count(own) != 0) found[own] = name;
    }
  }
  EXPECT_EQ(found, expected);
}

std::string name_of(const Architecture& architecture, const std::string& source, const Given& given,
                    const std::string& tensor) {
  const Options options = Options::from(architecture.options, given);
  return names_in(architecture, source).name_of(tensor, options);
}

TEST(StateDictKeyMap, OfCifarResNets) {
  const Architecture resnet = resnet::architecture();
  expect_names(resnet, "akamaster/pytorch_resnet_cifar10", {{"depth", 20}},
               {{"conv1.weight", "conv1.weight"},
                {"bn1.running_mean", "bn1.running_mean"},
                {"stage1.block0.conv1.weight", "layer1.0.conv1.weight"},
                {"stage3.block2.bn2.running_var", "layer3.2.bn2.running_var"},
                {"fc.bias", "linear.bias"}});
  expect_names(resnet, "akamaster/pytorch_resnet_cifar10", {{"depth", 8}, {"shortcut", "A"}},
               {{"stage2.block0.conv1.weight", "layer2.0.conv1.weight"}});
  expect_names(resnet, "chenyaofo/pytorch-cifar-models", {{"depth", 20}, {"shortcut", "B"}},
               {{"stage2.block0.shortcut.conv.weight", "layer2.0.downsample.0.weight"},
                {"stage3.block0.shortcut.bn.weight", "layer3.0.downsample.1.weight"},
                {"fc.weight", "fc.weight"}});
}

TEST(StateDictKeyMap, OfImageNetResNets) {
  const Architecture resnet = resnet::architecture();
  const Given given = {{"family", "imagenet"}, {"depth", 18}};
  expect_names(resnet, "kuangliu/pytorch-cifar",
               {{"family", "imagenet"}, {"depth", 34}, {"shortcut", "B"}},
               {{"stage3.block5.bn2.bias", "layer3.5.bn2.bias"}});
  expect_names(resnet, "kuangliu/pytorch-cifar", given,
               {{"stage4.block1.conv2.weight", "layer4.1.conv2.weight"},
                {"stage2.block0.shortcut.conv.weight", "layer2.0.shortcut.0.weight"},
                {"stage2.block0.shortcut.bn.running_var", "layer2.0.shortcut.1.running_var"},
                {"fc.weight", "linear.weight"}});
  expect_names(resnet, "torchvision (conv1 3x3 of stride 1, no maxpool)", given,
               {{"stage4.block0.shortcut.bn.weight", "layer4.0.downsample.1.weight"},
                {"fc.weight", "fc.weight"}});
  Given preactivated = given;
  preactivated["preactivation"] = true;
  expect_names(resnet, "kuangliu/pytorch-cifar", preactivated,
               {{"stage1.block0.bn1.weight", "layer1.0.bn1.weight"},
                {"stage2.block0.shortcut.conv.weight", "layer2.0.shortcut.0.weight"}});
}

TEST(StateDictKeyMap, NoneForANetworkThatIsNotThere) {
  const Architecture resnet = resnet::architecture();
  const char* akamaster = "akamaster/pytorch_resnet_cifar10";
  for (const Given& given : {Given{{"family", "imagenet"}, {"depth", 18}},
                             Given{{"block", "bireal"}}, Given{{"preactivation", true}},
                             Given{{"activation", "hardtanh"}}, Given{{"shortcut", "B"}}}) {
    EXPECT_EQ(name_of(resnet, akamaster, given, "conv1.weight"), "") << given.begin()->first;
  }
  for (const Given& given : {Given{}, Given{{"shortcut", "A"}}}) {
    EXPECT_EQ(name_of(resnet, "chenyaofo/pytorch-cifar-models", given, "conv1.weight"), "");
  }
  const Given padded = {{"family", "imagenet"}, {"depth", 18}, {"shortcut", "A"}};
  for (const char* source :
       {"kuangliu/pytorch-cifar", "torchvision (conv1 3x3 of stride 1, no maxpool)"}) {
    EXPECT_EQ(name_of(resnet, source, padded, "conv1.weight"), "") << source;
    EXPECT_EQ(name_of(resnet, source, {}, "conv1.weight"), "") << source;
  }
  EXPECT_EQ(name_of(densenet::architecture(), "kuangliu/pytorch-cifar", {}, "conv1.weight"), "");
}

TEST(StateDictKeyMap, OfWideResNets) {
  expect_names(wideresnet::architecture(), "xternalz/WideResNet-pytorch",
               {{"depth", 16}, {"widen_factor", 2}},
               {{"conv1.weight", "conv1.weight"},
                {"stage1.block0.bn1.weight", "block1.layer.0.bn1.weight"},
                {"stage3.block0.shortcut.weight", "block3.layer.0.convShortcut.weight"},
                {"stage2.block1.conv2.weight", "block2.layer.1.conv2.weight"},
                {"bn.running_var", "bn1.running_var"},
                {"fc.bias", "fc.bias"}});
}

TEST(StateDictKeyMap, OfDenseNets) {
  const Architecture densenet = densenet::architecture();
  expect_names(densenet, "kuangliu/pytorch-cifar", {{"family", "imagenet"}, {"depth", 121}},
               {{"conv1.weight", "conv1.weight"},
                {"block1.layer0.bn1.weight", "dense1.0.bn1.weight"},
                {"block4.layer15.conv2.weight", "dense4.15.conv2.weight"},
                {"transition1.bn.bias", "trans1.bn.bias"},
                {"transition3.conv.weight", "trans3.conv.weight"},
                {"bn.running_mean", "bn.running_mean"},
                {"fc.weight", "linear.weight"}});
  expect_names(densenet, "bamos/densenet.pytorch", {{"depth", 40}},
               {{"block3.layer5.conv1.weight", "dense3.5.conv1.weight"},
                {"transition2.bn.bias", "trans2.bn1.bias"},
                {"transition2.conv.weight", "trans2.conv1.weight"},
                {"bn.weight", "bn1.weight"},
                {"fc.bias", "fc.bias"}});
}

// In that implementation, a layer's channels precede its inputs.
TEST(PublishedChannels, OfADenseNetThatConcatenatesInTheOtherOrder) {
  const Architecture densenet = densenet::architecture();
  const Options options =
      Options::from(densenet.options, {{"family", "imagenet"}, {"depth", 121}, {"growth_rate", 2}});
  const auto channels = [&](const std::string& tensor) {
    return names_in(densenet, "kuangliu/pytorch-cifar").channels_of(tensor, options);
  };
  EXPECT_THAT(channels("conv1.weight"), IsEmpty());
  EXPECT_THAT(channels("block1.layer0.bn1.weight"), ElementsAre(0, 1, 2, 3));
  // ours: stem, layer 0, layer 1; theirs: layer 1, layer 0, stem
  for (const char* tensor : {"block1.layer2.bn1.running_var", "block1.layer2.conv1.weight"}) {
    EXPECT_THAT(channels(tensor), ElementsAre(4, 5, 6, 7, 2, 3, 0, 1)) << tensor;
  }
  EXPECT_THAT(channels("block1.layer2.bn2.weight"), IsEmpty());
  EXPECT_THAT(channels("block1.layer2.conv2.weight"), IsEmpty());
  // (4 + 6 * 2) / 2 = 8 channels leave the first transition.
  EXPECT_EQ(channels("transition1.conv.weight").size(), 16U);
  EXPECT_THAT(channels("block2.layer1.bn1.bias"), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 0, 1));
  EXPECT_EQ(channels("fc.weight"), channels("bn.weight"));
  EXPECT_THAT(channels("fc.bias"), IsEmpty());
}

}  // namespace
}  // namespace qhost
