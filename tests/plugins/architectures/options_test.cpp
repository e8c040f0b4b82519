// Options that exclude each other, and inputs that are too small.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "densenet/densenet.h"
#include "plugins/architectures/build.h"
#include "qhost/error.h"
#include "resnet/resnet.h"
#include "vgg/vgg.h"
#include "wideresnet/wideresnet.h"

namespace qhost {
namespace {

using test::build;
using test::Given;

// The message of the OptionError about `option`.
std::string option_error(const Architecture& architecture, const Given& given,
                         const std::string& option) {
  try {
    build(architecture, given);
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), option);
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  ADD_FAILURE() << "no OptionError was thrown";
  return "";
}

std::string resnet_error(const Given& given, const std::string& option = "depth") {
  return option_error(resnet::architecture(), given, option);
}

std::string wide_error(const Given& given, const std::string& option = "depth") {
  return option_error(wideresnet::architecture(), given, option);
}

std::string dense_error(const Given& given, const std::string& option = "depth") {
  return option_error(densenet::architecture(), given, option);
}

using ::testing::HasSubstr;

TEST(ResNetOptions, DepthMustBeSixNPlusTwo) {
  EXPECT_THAT(resnet_error({{"depth", 21}}), HasSubstr("depth 21 is not 6n+2; nearest: 20 and 26"));
  EXPECT_THAT(resnet_error({{"depth", 19}}), HasSubstr("depth 19 is not 6n+2; nearest: 14 and 20"));
  EXPECT_THAT(resnet_error({{"depth", 9}}), HasSubstr("depth 9 is not 6n+2; nearest: 8 and 14"));
}

TEST(ResNetOptions, ImagenetHasTwoDepths) {
  EXPECT_THAT(resnet_error({{"family", "imagenet"}}),
              HasSubstr("depth 20 does not exist in the family imagenet; it has 18 and 34"));
}

TEST(ResNetOptions, RangesAreDeclared) {
  EXPECT_THAT(resnet_error({{"depth", 2}}), HasSubstr("2 is below the minimum 8"));
  EXPECT_THAT(resnet_error({{"depth", 1208}}), HasSubstr("1208 is above the maximum 1202"));
  EXPECT_THAT(resnet_error({{"shortcut", "C"}}, "shortcut"), HasSubstr("\"C\""));
  EXPECT_THAT(resnet_error({{"family", "mnist"}}, "family"), HasSubstr("\"mnist\""));
  EXPECT_THAT(resnet_error({{"width", 3}}, "width"), HasSubstr("unknown option"));
  EXPECT_THAT(resnet_error({{"block", "bottleneck"}}, "block"), HasSubstr("\"bottleneck\""));
  EXPECT_THAT(resnet_error({{"activation", "relu6"}}, "activation"), HasSubstr("\"relu6\""));
}

TEST(WideResNetOptions, DepthMustBeSixNPlusFour) {
  EXPECT_THAT(wide_error({{"depth", 17}}), HasSubstr("depth 17 is not 6n+4; nearest: 16 and 22"));
  EXPECT_THAT(wide_error({{"depth", 11}}), HasSubstr("depth 11 is not 6n+4; nearest: 10 and 16"));
  EXPECT_THAT(wide_error({{"depth", 4}}), HasSubstr("4 is below the minimum 10"));
}

TEST(WideResNetOptions, RangesAreDeclared) {
  EXPECT_THAT(wide_error({{"widen_factor", 0}}, "widen_factor"),
              HasSubstr("0 is below the minimum 1"));
  EXPECT_THAT(wide_error({{"dropout", 1.0}}, "dropout"), HasSubstr("1"));
  EXPECT_THAT(wide_error({{"dropout", -0.5}}, "dropout"), HasSubstr("-0.5 is below the minimum 0"));
}

TEST(DenseNetOptions, DepthMustBeSixNPlusFourWithBottlenecks) {
  EXPECT_THAT(dense_error({{"depth", 101}}),
              HasSubstr("depth 101 is not 6n+4, as it is with bottlenecks; nearest: 100 and 106"));
  EXPECT_THAT(dense_error({{"depth", 99}}),
              HasSubstr("depth 99 is not 6n+4, as it is with bottlenecks; nearest: 94 and 100"));
  EXPECT_THAT(dense_error({{"depth", 7}}),
              HasSubstr("depth 7 is not 6n+4, as it is with bottlenecks; nearest: 10 and 16"));
}

TEST(DenseNetOptions, DepthMustBeThreeNPlusFourWithoutBottlenecks) {
  EXPECT_THAT(dense_error({{"depth", 41}, {"bottleneck", false}}),
              HasSubstr("depth 41 is not 3n+4, as it is without bottlenecks; nearest: 40 and 43"));
  EXPECT_THAT(dense_error({{"depth", 8}, {"bottleneck", false}}),
              HasSubstr("depth 8 is not 3n+4, as it is without bottlenecks; nearest: 7 and 10"));
  // 3n+4, but not 6n+4
  EXPECT_NO_THROW(build(densenet::architecture(), {{"depth", 13}, {"bottleneck", false}}));
  EXPECT_THAT(dense_error({{"depth", 13}}), HasSubstr("nearest: 10 and 16"));
}

TEST(DenseNetOptions, ImagenetHasFourDepthsAndBottlenecks) {
  EXPECT_THAT(
      dense_error({{"family", "imagenet"}}),
      HasSubstr("depth 100 does not exist in the family imagenet; it has 121, 161, 169 and 201"));
  EXPECT_THAT(
      dense_error({{"family", "imagenet"}, {"depth", 121}, {"bottleneck", false}}, "bottleneck"),
      HasSubstr("the family imagenet has bottlenecks: its depths count their convolutions; leave "
                "bottleneck = true, or set family = \"cifar\""));
}

TEST(DenseNetOptions, ATransitionMustKeepAChannel) {
  // 24 channels and 1 layer of 12 before the first transition
  EXPECT_THAT(
      dense_error({{"depth", 10}, {"compression", 0.02}}, "compression"),
      HasSubstr("compression 0.02 keeps none of the 36 channels before a transition; choose "
                "1/36 or more"));
  // 36 * 0.08 = 2.88, then (2 + 12) * 0.08 = 1.12
  const Graph narrow = build(densenet::architecture(), {{"depth", 10}, {"compression", 0.08}});
  EXPECT_EQ(narrow.find("transition1.conv")->shape.channels(), 2);
  EXPECT_EQ(narrow.find("transition2.conv")->shape.channels(), 1);
}

TEST(DenseNetOptions, CompressionLosesNoChannelToRounding) {
  // 0.29 * 100 is less than 29 in binary
  const Graph graph =
      build(densenet::architecture(),
            {{"depth", 7}, {"growth_rate", 84}, {"bottleneck", false}, {"compression", 0.29}});
  EXPECT_EQ(graph.find("block1.layer0.concat")->shape.channels(), 100);
  EXPECT_EQ(graph.find("transition1.conv")->shape.channels(), 29);
}

TEST(DenseNetOptions, RangesAreDeclared) {
  EXPECT_THAT(dense_error({{"depth", 4}}), HasSubstr("4 is below the minimum 7"));
  EXPECT_THAT(dense_error({{"growth_rate", 0}}, "growth_rate"),
              HasSubstr("0 is below the minimum 1"));
  EXPECT_THAT(dense_error({{"compression", 0.0}}, "compression"), HasSubstr("0"));
  EXPECT_THAT(dense_error({{"compression", 1.5}}, "compression"),
              HasSubstr("1.5 is above the maximum 1"));
  EXPECT_THAT(dense_error({{"dropout", 1.0}}, "dropout"), HasSubstr("1"));
  EXPECT_THAT(dense_error({{"family", "kuangliu"}}, "family"), HasSubstr("\"kuangliu\""));
}

TEST(VggOptions, RangesAreDeclared) {
  const auto vgg_error = [](const Given& given, const std::string& option) {
    return option_error(vgg::architecture(), given, option);
  };
  EXPECT_THAT(vgg_error({{"family", "vgg16"}}, "family"), HasSubstr("\"vgg16\""));
  EXPECT_THAT(vgg_error({{"width", 0}}, "width"), HasSubstr("0 is below the minimum 1"));
  EXPECT_THAT(vgg_error({{"activation", "tanh"}}, "activation"), HasSubstr("\"tanh\""));
}

std::string size_error(const Architecture& architecture, const Given& given, const Shape& input) {
  try {
    build(architecture, given, 10, input);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(InputSizes, AreRefusedBelowTheSmallest) {
  EXPECT_EQ(size_error(resnet::architecture(), {}, {{1, 3, 8}}),
            "resnet, family cifar, needs images of at least 4x4 pixels; the data set gives "
            "[N,1,3,8]\nhelp: use a data set of larger images");
  EXPECT_EQ(
      size_error(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}}, {{3, 8, 7}}),
      "resnet, family imagenet, needs images of at least 8x8 pixels; the data set gives "
      "[N,3,8,7]\nhelp: use a data set of larger images, or family = \"cifar\"");
  EXPECT_EQ(size_error(wideresnet::architecture(), {}, {{3, 4, 2}}),
            "wideresnet needs images of at least 4x4 pixels; the data set gives [N,3,4,2]\n"
            "help: use a data set of larger images");
  EXPECT_EQ(size_error(wideresnet::architecture(), {}, {{64}}),
            "wideresnet needs images of at least 4x4 pixels; the data set gives [N,64]\n"
            "help: use a data set of larger images");
  EXPECT_EQ(size_error(densenet::architecture(), {}, {{3, 3, 4}}),
            "densenet, family cifar, needs images of at least 4x4 pixels; the data set gives "
            "[N,3,3,4]\nhelp: use a data set of larger images");
  EXPECT_EQ(
      size_error(densenet::architecture(), {{"family", "imagenet"}, {"depth", 121}}, {{3, 8, 7}}),
      "densenet, family imagenet, needs images of at least 8x8 pixels; the data set gives "
      "[N,3,8,7]\nhelp: use a data set of larger images, or family = \"cifar\"");
  EXPECT_EQ(size_error(vgg::architecture(), {}, {{3, 8, 7}}),
            "vgg needs images of at least 8x8 pixels; the data set gives [N,3,8,7]\n"
            "help: use a data set of larger images");
}

TEST(InputSizes, AreAcceptedFromTheSmallest) {
  const auto classes = [](const Architecture& architecture, const Given& given,
                          const Shape& input) {
    return build(architecture, given, 10, input).output().shape;
  };
  const Shape ten{{10}}, digits{{1, 8, 8}};
  for (const Shape& input : {digits, Shape{{3, 4, 4}}, Shape{{3, 5, 64}}, Shape{{3, 96, 96}}}) {
    EXPECT_EQ(classes(resnet::architecture(), {{"depth", 8}}, input), ten);
    EXPECT_EQ(classes(wideresnet::architecture(), {{"depth", 10}}, input), ten);
    EXPECT_EQ(classes(densenet::architecture(), {{"depth", 10}}, input), ten);
    for (const char* shortcut : {"A", "B"}) {  // odd sizes too must match behind both branches
      EXPECT_EQ(classes(resnet::architecture(),
                        {{"depth", 8}, {"block", "bireal"}, {"shortcut", shortcut}}, input),
                ten);
    }
  }
  const Given resnet18 = {{"family", "imagenet"}, {"depth", 18}};
  EXPECT_EQ(classes(resnet::architecture(), resnet18, digits), ten);
  EXPECT_EQ(classes(densenet::architecture(), {{"family", "imagenet"}, {"depth", 121}}, digits),
            ten);
  EXPECT_EQ(classes(vgg::architecture(), {}, digits), ten);
  EXPECT_EQ(classes(vgg::architecture(), {{"family", "small"}}, {{3, 9, 33}}), ten);
}

TEST(Declarations, HaveSummaryPaperAndHelp) {
  std::vector<std::string> names;
  for (const Architecture& architecture : {densenet::architecture(), resnet::architecture(),
                                           vgg::architecture(), wideresnet::architecture()}) {
    EXPECT_FALSE(architecture.summary.empty());
    EXPECT_THAT(architecture.paper, HasSubstr("arXiv"));
    for (const Option& option : architecture.options) EXPECT_FALSE(option.help().empty());
    EXPECT_NO_THROW(build(architecture, {}));  // the defaults are valid together
    names.push_back(architecture.name);
  }
  EXPECT_THAT(names, ::testing::ElementsAre("densenet", "resnet", "vgg", "wideresnet"));
}

}  // namespace
}  // namespace qhost
