// BinaryConnect and BWN against tests/golden/binary_methods/steps.json, which
// tools/golden/binary_methods.py makes with PyTorch alone.
#include "golden.h"
#include "plugins/binaryconnect/method.h"
#include "plugins/bwn/method.h"

namespace qhost {
namespace {

using test::GoldenCase;
using test::json;

const json& golden() {
  static const json document = test::golden_document("binary_methods/steps.json");
  return document;
}

Graph network() {
  GraphBuilder g;
  const auto shape = golden()["input_shape"].get<std::vector<std::int64_t>>();
  Value y = g.input({{shape[1], shape[2], shape[3]}});
  const auto filters = golden()["filters"].get<std::int64_t>();
  y = g.conv2d("conv", y, {.out_channels = filters, .kernel = 3, .padding = 1});
  y = g.relu("relu", g.batch_norm("norm", y));
  y = g.linear("classify", g.global_average_pool("pool", y), {.out_features = 3});
  return g.finish(y, 3);
}

class BinaryMethodStep : public testing::TestWithParam<GoldenCase> {};

TEST_P(BinaryMethodStep, EqualsTheIndependentImplementation) {
  const json& which = golden()["cases"][GetParam().index];
  const QuantizerMethod method = which["method"] == "bwn" ? bwn::method() : binaryconnect::method();
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = test::make(method, test::options_of(which, {"mode", "lr_scale", "gradient"}));
  rule.offers = method.roles;
  rule.keep_float = std::vector<std::string>{};
  Graph graph = network();
  Plan plan = make_plan(graph, {rule});
  ASSERT_EQ(plan.slots.size(), 2U);
  test::expect_golden_steps(golden(), which, std::move(graph), std::move(plan),
                            GetParam().channels_last);
}

INSTANTIATE_TEST_SUITE_P(Golden, BinaryMethodStep, testing::ValuesIn(test::golden_cases(golden())),
                         [](const testing::TestParamInfo<GoldenCase>& one) {
                           return test::golden_name(
                               golden(), one.param,
                               {"method", "mode", "lr_scale", "gradient", "optimizer"});
                         });

}  // namespace
}  // namespace qhost
