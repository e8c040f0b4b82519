// Parameters, multiply-accumulates and convolutions of every published network, for 32x32x3 inputs.
// Parameters include gamma and beta; MACs are those of convolutions and linear layers.
#include <gtest/gtest.h>

#include "densenet/densenet.h"
#include "graph/count.h"
#include "plugins/architectures/build.h"
#include "resnet/resnet.h"
#include "vgg/vgg.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::Given;

struct Row {
  const char* name;
  Architecture (*architecture)();
  Given given;
  std::int64_t parameters_10, parameters_100, macs_10, convolutions;
  std::int64_t features;  // inputs of the classifier
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

Row cifar(const char* name, std::int64_t depth, const char* shortcut, std::int64_t parameters_10,
          std::int64_t parameters_100, std::int64_t macs_10, std::int64_t convolutions) {
  return {name,
          resnet::architecture,
          {{"depth", depth}, {"shortcut", shortcut}},
          parameters_10,
          parameters_100,
          macs_10,
          convolutions,
          64};
}

Row imagenet(const char* name, std::int64_t depth, bool preactivation, std::int64_t parameters_10,
             std::int64_t parameters_100, std::int64_t macs_10, std::int64_t convolutions) {
  return {name,
          resnet::architecture,
          {{"family", "imagenet"}, {"depth", depth}, {"preactivation", preactivation}},
          parameters_10,
          parameters_100,
          macs_10,
          convolutions,
          512};
}

Row wide(const char* name, std::int64_t depth, std::int64_t factor, std::int64_t parameters_10,
         std::int64_t parameters_100, std::int64_t macs_10, std::int64_t convolutions) {
  return {name,
          wideresnet::architecture,
          {{"depth", depth}, {"widen_factor", factor}},
          parameters_10,
          parameters_100,
          macs_10,
          convolutions,
          64 * factor};
}

Row dense(const char* name, std::int64_t depth, std::int64_t growth, bool compact,
          std::int64_t parameters_10, std::int64_t parameters_100, std::int64_t macs_10,
          std::int64_t convolutions, std::int64_t features) {
  return {name,
          densenet::architecture,
          {{"depth", depth},
           {"growth_rate", growth},
           {"bottleneck", compact},
           {"compression", compact ? 0.5 : 1.0}},
          parameters_10,
          parameters_100,
          macs_10,
          convolutions,
          features};
}

Row dense_121(const char* name, std::int64_t growth, std::int64_t parameters_10,
              std::int64_t parameters_100, std::int64_t macs_10, std::int64_t features) {
  return {name,
          densenet::architecture,
          {{"family", "imagenet"}, {"depth", 121}, {"growth_rate", growth}},
          parameters_10,
          parameters_100,
          macs_10,
          120,
          features};
}

Row plain(const char* name, const char* family, std::int64_t parameters_10,
          std::int64_t parameters_100, std::int64_t macs_10, std::int64_t features) {
  return {name, vgg::architecture, {{"family", family}}, parameters_10, parameters_100, macs_10,
          6,    features};
}

// Another order of the same layers has the same cost.
Row bireal(Row row, const char* name) {
  row.name = name;
  row.given["block"] = "bireal";
  return row;
}

class PublishedCounts : public ::testing::TestWithParam<Row> {};

TEST_P(PublishedCounts, AreExact) {
  const Row& row = GetParam();
  const Architecture architecture = row.architecture();
  const Graph ten = test::build(architecture, row.given, 10);
  EXPECT_EQ(count(ten).total.parameters, row.parameters_10);
  EXPECT_EQ(count(ten).total.macs, row.macs_10);
  EXPECT_EQ(test::number_of(ten, Op::conv2d), row.convolutions);

  const Graph hundred = test::build(architecture, row.given, 100);
  EXPECT_EQ(count(hundred).total.parameters, row.parameters_100);
  EXPECT_EQ(count(hundred).total.macs, row.macs_10 + 90 * row.features);
  EXPECT_EQ(test::number_of(hundred, Op::conv2d), row.convolutions);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, PublishedCounts,
    ::testing::Values(
        cifar("ResNet20A", 20, "A", 269722, 275572, 40551040, 19),
        cifar("ResNet32A", 32, "A", 464154, 470004, 68862592, 31),
        cifar("ResNet44A", 44, "A", 658586, 664436, 97174144, 43),
        cifar("ResNet56A", 56, "A", 853018, 858868, 125485696, 55),
        cifar("ResNet110A", 110, "A", 1727962, 1733812, 252887680, 109),
        bireal(cifar("", 20, "A", 269722, 275572, 40551040, 19), "BiReal20A"),
        cifar("ResNet20B", 20, "B", 272474, 278324, 40813184, 21),
        cifar("ResNet32B", 32, "B", 466906, 472756, 69124736, 33),
        cifar("ResNet44B", 44, "B", 661338, 667188, 97436288, 45),
        cifar("ResNet56B", 56, "B", 855770, 861620, 125747840, 57),
        cifar("ResNet110B", 110, "B", 1730714, 1736564, 253149824, 111),
        imagenet("ResNet18", 18, false, 11173962, 11220132, 555422720, 20),
        imagenet("PreActResNet18", 18, true, 11171146, 11217316, 555422720, 20),
        bireal(imagenet("", 18, false, 11173962, 11220132, 555422720, 20), "BiReal18"),
        imagenet("ResNet34", 34, false, 21282122, 21328292, 1159402496, 36),
        wide("WRN_16_1", 16, 1, 175066, 180916, 26657408, 15),
        wide("WRN_40_1", 40, 1, 563930, 569780, 83280512, 39),
        wide("WRN_16_2", 16, 2, 691674, 703284, 101106944, 16),
        wide("WRN_22_2", 22, 2, 1079642, 1091252, 157730048, 22),
        wide("WRN_40_2", 40, 2, 2243546, 2255156, 327599360, 40),
        wide("WRN_16_4", 16, 4, 2748890, 2772020, 392612352, 16),
        wide("WRN_28_4", 28, 4, 5849050, 5872180, 845597184, 28),
        wide("WRN_40_4", 40, 4, 8949210, 8972340, 1298582016, 40),
        wide("WRN_16_8", 16, 8, 10961370, 11007540, 1548145664, 16),
        wide("WRN_22_8", 22, 8, 17158106, 17204276, 2454115328, 22),
        wide("WRN_28_10", 28, 10, 36479194, 36536884, 5243328768, 28),
        dense("DenseNet_40_12", 40, 12, false, 1019722, 1060132, 264812928, 39, 448),
        dense("DenseNet_100_12", 100, 12, false, 6979642, 7084852, 1769516448, 99, 1168),
        dense("DenseNetBC_100_12", 100, 12, true, 769162, 800032, 287929692, 99, 342),
        dense("DenseNetBC_250_24", 250, 24, true, 15324406, 15480556, 5418785724, 249, 1734),
        dense("DenseNetBC_190_40", 190, 40, true, 25624430, 25821620, 9301945740, 189, 2190),
        dense_121("DenseNetCifar", 12, 1000618, 1035268, 125341440, 384),
        dense_121("DenseNet121", 32, 6956298, 7048548, 888350720, 1024),
        // 90 more outputs have 1024 weights, gamma and beta each
        plain("BinaryConnectCifar", "binaryconnect", 14029716, 14122056, 616966144, 1024),
        // 6 convolutions of the network above, 8192 * 10 + 10 behind them
        plain("VggSmall", "small", 4660106, 5397476, 607600640, 8192)),
    [](const auto& test) { return test.param.name; });

// torchvision's networks differ only in the 7x7 stem with a batch norm and in the 1000 classes.
TEST(DenseNet, OfTheImagenetFamilyHasThePublishedNetworksBlocks) {
  struct Published {
    std::int64_t depth, growth, parameters, features;
  };
  for (const auto& [depth, growth, parameters, features] :
       {Published{121, 32, 7978856, 1024}, Published{161, 48, 28681000, 2208},
        Published{169, 32, 14149480, 1664}, Published{201, 32, 20013928, 1920}}) {
    const Graph graph =
        test::build(densenet::architecture(),
                    {{"family", "imagenet"}, {"depth", depth}, {"growth_rate", growth}}, 1000);
    const std::int64_t stem = 2 * growth;
    EXPECT_EQ(count(graph).total.parameters, parameters - stem * (3 * 49 + 2) + stem * 3 * 9);
    EXPECT_EQ(test::number_of(graph, Op::conv2d), depth - 1);
    EXPECT_EQ(graph.node(graph.output().inputs[0]).shape, (Shape{{features}}));
  }
}

// Width 64 is the network for SVHN, with a quarter of the weights between hidden layers.
TEST(Vgg, WidthScalesEveryLayer) {
  const Graph half = test::build(vgg::architecture(), {{"width", 64}});
  EXPECT_EQ(half.find("stage1.conv1")->shape, (Shape{{64, 32, 32}}));
  EXPECT_EQ(half.find("stage3.conv2")->shape, (Shape{{256, 8, 8}}));
  EXPECT_EQ(half.find("hidden1.fc")->parameters[0].shape,
            (std::vector<std::int64_t>{512, 4 * 4 * 256}));
  EXPECT_EQ(half.find("hidden2.fc")->parameters[0].shape, (std::vector<std::int64_t>{512, 512}));
  EXPECT_EQ(half.find("fc")->parameters[0].shape, (std::vector<std::int64_t>{10, 512}));
}

}  // namespace
}  // namespace qhost
