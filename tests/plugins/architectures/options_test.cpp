// Options that do not fit together, and inputs that are too small.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/architectures/build.h"
#include "qhost/error.h"
#include "resnet/resnet.h"
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
}

TEST(InputSizes, AreAcceptedFromTheSmallest) {
  const Shape digits{{1, 8, 8}};
  for (const Shape& input : {digits, Shape{{3, 4, 4}}, Shape{{3, 5, 64}}, Shape{{3, 96, 96}}}) {
    EXPECT_EQ(build(resnet::architecture(), {{"depth", 8}}, 10, input).output().shape,
              (Shape{{10}}));
    EXPECT_EQ(build(wideresnet::architecture(), {{"depth", 10}}, 10, input).output().shape,
              (Shape{{10}}));
  }
  const Given resnet18 = {{"family", "imagenet"}, {"depth", 18}};
  EXPECT_EQ(build(resnet::architecture(), resnet18, 10, digits).output().shape, (Shape{{10}}));
}

TEST(Declarations, HaveSummaryPaperAndHelp) {
  for (const Architecture& architecture : {resnet::architecture(), wideresnet::architecture()}) {
    EXPECT_FALSE(architecture.summary.empty());
    EXPECT_THAT(architecture.paper, HasSubstr("arXiv"));
    for (const Option& option : architecture.options) EXPECT_FALSE(option.help().empty());
    EXPECT_NO_THROW(build(architecture, {}));  // the defaults fit together
  }
  EXPECT_EQ(resnet::architecture().name, "resnet");
  EXPECT_EQ(wideresnet::architecture().name, "wideresnet");
}

}  // namespace
}  // namespace qhost
