// Errors of conv2d, linear and batch_norm.
#include <cmath>
#include <limits>

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using test::Network;

struct ConvErrorCase {
  const char* name;
  const char* input;
  Conv2dOptions options;
  const char* sentence;
  const char* help;
};

class ConvErrors : public ::testing::TestWithParam<ConvErrorCase> {};

TEST_P(ConvErrors, SayWhatIsWrong) {
  Network n(GetParam().input);
  const std::string text = error_of([&] { n.g.conv2d("c", n.x, GetParam().options); });
  EXPECT_THAT(text,
              is_graph_error(std::string("c (conv2d): ") + GetParam().sentence, GetParam().help));
  EXPECT_THAT(text, ::testing::HasSubstr("\n  x = input  input  -> " +
                                         to_string(test::shape(GetParam().input))));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConvErrors,
    ::testing::Values(
        ConvErrorCase{"Features",
                      "64",
                      {.out_channels = 8},
                      "needs an image {C,H,W}, but x is [N,64]",
                      "features have no height and width: use linear"},
        ConvErrorCase{"ZeroChannels",
                      "16x8x8",
                      {.out_channels = 0},
                      "out_channels is 0, below the minimum 1",
                      "set out_channels to 1 or more"},
        ConvErrorCase{"NegativeChannels",
                      "16x8x8",
                      {.out_channels = -4},
                      "out_channels is -4, below the minimum 1",
                      "set out_channels to 1 or more"},
        ConvErrorCase{"HugeChannels",
                      "16x8x8",
                      {.out_channels = std::int64_t{1} << 40},
                      "out_channels is 1099511627776, above the limit 16777216",
                      "set out_channels to 16777216 or less"},
        ConvErrorCase{"ZeroKernel",
                      "16x8x8",
                      {.out_channels = 8, .kernel = 0},
                      "kernel is 0, below the minimum 1",
                      "set kernel to 1 or more"},
        ConvErrorCase{"ZeroKernelWidth",
                      "16x8x8",
                      {.out_channels = 8, .kernel = {3, 0}},
                      "kernel width is 0, below the minimum 1",
                      "set kernel width to 1 or more"},
        ConvErrorCase{"ZeroStride",
                      "16x8x8",
                      {.out_channels = 8, .stride = 0},
                      "stride is 0, below the minimum 1",
                      "set stride to 1 or more"},
        ConvErrorCase{"NegativePadding",
                      "16x8x8",
                      {.out_channels = 8, .padding = {-1, 0}},
                      "padding height is -1, below the minimum 0",
                      "set padding height to 0 or more"},
        ConvErrorCase{"HugePadding",
                      "16x8x8",
                      {.out_channels = 8, .padding = std::numeric_limits<std::int64_t>::max()},
                      "padding is 9223372036854775807, above the limit 16777216",
                      "set padding to 16777216 or less"},
        ConvErrorCase{"ZeroGroups",
                      "16x8x8",
                      {.out_channels = 8, .groups = 0},
                      "groups is 0, below the minimum 1",
                      "set groups to 1 or more"},
        ConvErrorCase{"GroupsOfInput",
                      "16x8x8",
                      {.out_channels = 9, .groups = 3},
                      "16 input channels are not divisible by groups 3",
                      "choose groups that divide 16 and 9"},
        ConvErrorCase{"GroupsOfOutput",
                      "16x8x8",
                      {.out_channels = 9, .groups = 4},
                      "9 output channels are not divisible by groups 4",
                      "choose groups that divide 16 and 9"},
        ConvErrorCase{"LargeKernel",
                      "16x2x8",
                      {.out_channels = 8, .kernel = {5, 3}, .padding = 1},
                      "the kernel 5x3 is larger than the padded input 4x10",
                      "use a smaller kernel, more padding, a larger input, or fewer strides before "
                      "it"},
        ConvErrorCase{"LargeOutput",
                      "1x4096x4096",
                      {.out_channels = 128, .kernel = 1},
                      "the output would be [N,128,4096,4096], above the limit of 2147483647 values",
                      "use fewer or smaller channels"},
        ConvErrorCase{"LargeWeight",
                      "65536x1x1",
                      {.out_channels = 65536, .kernel = 1},
                      "the weight would be [65536,65536,1,1], above the limit of 2147483647 values",
                      "use fewer or smaller channels"}),
    [](const auto& test) { return test.param.name; });

TEST(LinearErrors, NeedsFeatures) {
  Network n;
  EXPECT_THAT(error_of([&] { n.g.linear("fc", n.x, {.out_features = 10}); }),
              is_graph_error("fc (linear): needs features {F}, but x is the image [N,16,8,8]",
                             "put flatten or global_average_pool before it"));
}

TEST(LinearErrors, NeedsOutputs) {
  Network n("64");
  EXPECT_THAT(error_of([&] { n.g.linear("fc", n.x, {}); }),
              is_graph_error("fc (linear): out_features is 0, below the minimum 1",
                             "set out_features to 1 or more"));
}

struct BatchNormErrorCase {
  const char* name;
  BatchNormOptions options;
  const char* sentence;
  const char* help;
};

class BatchNormErrors : public ::testing::TestWithParam<BatchNormErrorCase> {};

TEST_P(BatchNormErrors, SayWhatIsWrong) {
  Network n;
  EXPECT_THAT(
      error_of([&] { n.g.batch_norm("bn", n.x, GetParam().options); }),
      is_graph_error(std::string("bn (batch_norm): ") + GetParam().sentence, GetParam().help));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BatchNormErrors,
    ::testing::Values(BatchNormErrorCase{"ZeroEpsilon",
                                         {.epsilon = 0},
                                         "epsilon is 0, not a positive number",
                                         "set epsilon to 1e-5, say"},
                      BatchNormErrorCase{"NanEpsilon",
                                         {.epsilon = std::nan("")},
                                         "epsilon is nan, not a positive number",
                                         "set epsilon to 1e-5, say"},
                      BatchNormErrorCase{"ZeroMomentum",
                                         {.momentum = 0},
                                         "momentum is 0, not in (0, 1]",
                                         "momentum is the weight of the new batch: 0.1, say"},
                      BatchNormErrorCase{"LargeMomentum",
                                         {.momentum = 1.5},
                                         "momentum is 1.5, not in (0, 1]",
                                         "momentum is the weight of the new batch: 0.1, say"},
                      BatchNormErrorCase{"GammaInit",
                                         {.gamma_init = Initialization::glorot_uniform},
                                         "gamma_init is glorot_uniform, which is for weights",
                                         "start gamma from ones or zeros"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace qhost
