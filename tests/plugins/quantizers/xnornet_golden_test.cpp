// XNOR-Net against tests/golden/xnornet/steps.json, which tools/golden/xnornet.py makes with
// PyTorch alone: a float convolution, a binary one of stride 2 and a binary linear layer.
#include "golden.h"
#include "plugins/xnornet/method.h"

namespace qhost {
namespace {

using test::GoldenCase;
using test::json;

const json& golden() {
  static const json document = test::golden_document("xnornet/steps.json");
  return document;
}

Graph network() {
  GraphBuilder g;
  const auto shape = golden()["input_shape"].get<std::vector<std::int64_t>>();
  Value y = g.input({{shape[1], shape[2], shape[3]}});
  const auto width = golden()["width"].get<std::int64_t>();
  const auto filters = golden()["filters"].get<std::int64_t>();
  y = g.conv2d("stem", y, {.out_channels = width, .kernel = 3, .padding = 1});
  y = g.batch_norm("norm0", y);
  y = g.conv2d("conv", y, {.out_channels = filters, .kernel = 3, .stride = 2, .padding = 1});
  y = g.global_average_pool("pool", g.batch_norm("norm1", y));
  return g.finish(g.linear("classify", y, {.out_features = 3}), 3);
}

class XnorNetStep : public testing::TestWithParam<GoldenCase> {};

TEST_P(XnorNetStep, EqualsTheIndependentImplementation) {
  const json& which = golden()["cases"][GetParam().index];
  const QuantizerMethod method = xnornet::method();
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer =
      test::make(method, test::options_of(which, {"gradient", "input_scale", "k_gradient"}));
  rule.offers = method.roles;
  rule.keep_float = std::vector<std::string>{"first"};
  Graph graph = network();
  Plan plan = make_plan(graph, {rule});
  ASSERT_EQ(plan.slots.size(), 4U);
  test::expect_golden_steps(golden(), which, std::move(graph), std::move(plan),
                            GetParam().channels_last);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, XnorNetStep, testing::ValuesIn(test::golden_cases(golden())),
    [](const testing::TestParamInfo<GoldenCase>& one) {
      return test::golden_name(golden(), one.param, {"gradient", "input_scale", "k_gradient"});
    });

}  // namespace
}  // namespace qhost
