// Compares BinaryConnect and BWN with tests/golden/binary_methods/steps.json, which
// tools/golden/binary_methods.py makes with PyTorch alone.
#include "golden.h"

namespace qhost {
namespace {

using test::GoldenCase;
using test::json;

const json& golden() {
  static const json document = test::golden_document("binary_methods/steps.json");
  return document;
}

const test::GoldenNetwork& network() {
  static const test::GoldenNetwork one("golden_binary", golden(), [](GraphBuilder& g, Value y) {
    const auto filters = golden()["filters"].get<std::int64_t>();
    y = g.conv2d("conv", y, {.out_channels = filters, .kernel = 3, .padding = 1});
    y = g.relu("relu", g.batch_norm("norm", y));
    return g.linear("classify", g.global_average_pool("pool", y), {.out_features = 3});
  });
  return one;
}

class BinaryMethodStep : public testing::TestWithParam<GoldenCase> {};

TEST_P(BinaryMethodStep, EqualsTheIndependentImplementation) {
  const json& which = golden()["cases"][GetParam().index];
  test::expect_golden_run(network(), which, which["method"], {"mode", "lr_scale", "gradient"}, "[]",
                          2, GetParam().channels_last);
}

INSTANTIATE_TEST_SUITE_P(Golden, BinaryMethodStep, testing::ValuesIn(test::golden_cases(golden())),
                         [](const testing::TestParamInfo<GoldenCase>& one) {
                           return test::golden_name(
                               golden(), one.param,
                               {"method", "mode", "lr_scale", "gradient", "optimizer"});
                         });

}  // namespace
}  // namespace qhost
