// Parameters, multiply-accumulates and convolutions of every published network, for 32x32x3 inputs.
// Parameters include gamma and beta; MACs are those of convolutions and linear layers.
#include <gtest/gtest.h>

#include "graph/count.h"
#include "plugins/architectures/build.h"
#include "resnet/resnet.h"
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
    ::testing::Values(cifar("ResNet20A", 20, "A", 269722, 275572, 40551040, 19),
                      cifar("ResNet32A", 32, "A", 464154, 470004, 68862592, 31),
                      cifar("ResNet44A", 44, "A", 658586, 664436, 97174144, 43),
                      cifar("ResNet56A", 56, "A", 853018, 858868, 125485696, 55),
                      cifar("ResNet110A", 110, "A", 1727962, 1733812, 252887680, 109),
                      cifar("ResNet20B", 20, "B", 272474, 278324, 40813184, 21),
                      cifar("ResNet32B", 32, "B", 466906, 472756, 69124736, 33),
                      cifar("ResNet44B", 44, "B", 661338, 667188, 97436288, 45),
                      cifar("ResNet56B", 56, "B", 855770, 861620, 125747840, 57),
                      cifar("ResNet110B", 110, "B", 1730714, 1736564, 253149824, 111),
                      imagenet("ResNet18", 18, false, 11173962, 11220132, 555422720, 20),
                      imagenet("PreActResNet18", 18, true, 11171146, 11217316, 555422720, 20),
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
                      wide("WRN_28_10", 28, 10, 36479194, 36536884, 5243328768, 28)),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace qhost
