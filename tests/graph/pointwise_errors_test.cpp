// Errors of activations, dropout, pooling and reshaping.
#include <cmath>
#include <functional>
#include <limits>

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using test::Network;

struct PointwiseErrorCase {
  const char* name;
  const char* input;
  std::function<void(GraphBuilder&, Value)> call;
  const char* sentence;
  const char* help;
};

class PointwiseErrors : public ::testing::TestWithParam<PointwiseErrorCase> {};

TEST_P(PointwiseErrors, SayWhatIsWrong) {
  Network n(GetParam().input);
  EXPECT_THAT(error_of([&] { GetParam().call(n.g, n.x); }),
              is_graph_error(GetParam().sentence, GetParam().help));
}

using Case = PointwiseErrorCase;

INSTANTIATE_TEST_SUITE_P(
    Cases, PointwiseErrors,
    ::testing::Values(
        Case{"LeakySlope", "4",
             [](GraphBuilder& g, Value x) {
               g.activation("act", x,
                            {.kind = Activation::leaky_relu,
                             .slope = std::numeric_limits<double>::infinity()});
             },
             "act (leaky_relu): slope is inf, not a finite number", "set slope to 0.01, say"},
        Case{"DropoutOne", "4",
             [](GraphBuilder& g, Value x) { g.dropout("drop", x, {.probability = 1}); },
             "drop (dropout): probability is 1, not in [0, 1)",
             "probability is the share that is set to zero: 0.3, say"},
        Case{"DropoutNegative", "4",
             [](GraphBuilder& g, Value x) { g.dropout("drop", x, {.probability = -0.1}); },
             "drop (dropout): probability is -0.1, not in [0, 1)",
             "probability is the share that is set to zero: 0.3, say"},
        Case{"DropoutNan", "4",
             [](GraphBuilder& g, Value x) { g.dropout("drop", x, {.probability = std::nan("")}); },
             "drop (dropout): probability is nan, not in [0, 1)",
             "probability is the share that is set to zero: 0.3, say"},
        Case{"MaxPoolFeatures", "4", [](GraphBuilder& g, Value x) { g.max_pool("p", x); },
             "p (max_pool): needs an image {C,H,W}, but x is [N,4]",
             "features have no height and width to pool over"},
        Case{"AveragePoolFeatures", "4", [](GraphBuilder& g, Value x) { g.average_pool("p", x); },
             "p (average_pool): needs an image {C,H,W}, but x is [N,4]",
             "features have no height and width to pool over"},
        Case{"PoolKernel", "4x8x8",
             [](GraphBuilder& g, Value x) { g.max_pool("p", x, {.kernel = 0}); },
             "p (max_pool): kernel is 0, below the minimum 1", "set kernel to 1 or more"},
        Case{"PoolStride", "4x8x8",
             [](GraphBuilder& g, Value x) {
               g.average_pool("p", x, {.stride = {0, 1}});
             },
             "p (average_pool): stride height is 0, below the minimum 1",
             "set stride height to 1 or more"},
        Case{"PoolNegativePadding", "4x8x8",
             [](GraphBuilder& g, Value x) { g.max_pool("p", x, {.padding = -1}); },
             "p (max_pool): padding is -1, below the minimum 0", "set padding to 0 or more"},
        Case{"PoolPadding", "4x8x8",
             [](GraphBuilder& g, Value x) { g.max_pool("p", x, {.kernel = 3, .padding = 2}); },
             "p (max_pool): the padding 2x2 is more than half the kernel 3x3",
             "use less padding or a larger kernel"},
        Case{"PoolLargeKernel", "4x8x2",
             [](GraphBuilder& g, Value x) { g.average_pool("p", x, {.kernel = 4}); },
             "p (average_pool): the kernel 4x4 is larger than the padded input 8x2",
             "use a smaller kernel, a larger input, or fewer strides before it"},
        Case{"GlobalPoolFeatures", "4",
             [](GraphBuilder& g, Value x) { g.global_average_pool("p", x); },
             "p (global_average_pool): needs an image {C,H,W}, but x is [N,4]",
             "features have no height and width to pool over"},
        Case{"SubsampleFeatures", "4",
             [](GraphBuilder& g, Value x) { g.subsample("s", x, {.out_channels = 8}); },
             "s (subsample): needs an image {C,H,W}, but x is [N,4]",
             "features have no height and width to subsample"},
        Case{
            "SubsampleStride", "4x8x8",
            [](GraphBuilder& g, Value x) { g.subsample("s", x, {.out_channels = 8, .stride = 0}); },
            "s (subsample): stride is 0, below the minimum 1", "set stride to 1 or more"},
        Case{"SubsampleNoChannels", "4x8x8",
             [](GraphBuilder& g, Value x) { g.subsample("s", x, {}); },
             "s (subsample): out_channels is 0, below the minimum 1",
             "set out_channels to 1 or more"},
        Case{"SubsampleFewerChannels", "4x8x8",
             [](GraphBuilder& g, Value x) { g.subsample("s", x, {.out_channels = 3}); },
             "s (subsample): out_channels 3 is below the 4 channels of x",
             "subsample adds channels of zeros and cannot drop any: use a 1x1 convolution"},
        Case{"FlattenFeatures", "4", [](GraphBuilder& g, Value x) { g.flatten("f", x); },
             "f (flatten): needs an image {C,H,W}, but x is [N,4]",
             "features are flat already: leave this flatten out"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace qhost
