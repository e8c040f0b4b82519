// Compares XNOR-Net with tests/golden/xnornet/steps.json, which tools/golden/xnornet.py makes with
// PyTorch alone: a float convolution, a binary one of stride 2 and a binary linear layer.
#include "golden.h"

namespace qhost {
namespace {

using test::GoldenCase;
using test::json;

const json& golden() {
  static const json document = test::golden_document("xnornet/steps.json");
  return document;
}

const test::GoldenNetwork& network() {
  static const test::GoldenNetwork one("golden_xnornet", golden(), [](GraphBuilder& g, Value y) {
    const auto width = golden()["width"].get<std::int64_t>();
    const auto filters = golden()["filters"].get<std::int64_t>();
    y = g.conv2d("stem", y, {.out_channels = width, .kernel = 3, .padding = 1});
    y = g.batch_norm("norm0", y);
    y = g.conv2d("conv", y, {.out_channels = filters, .kernel = 3, .stride = 2, .padding = 1});
    y = g.global_average_pool("pool", g.batch_norm("norm1", y));
    return g.linear("classify", y, {.out_features = 3});
  });
  return one;
}

/// `w` after the first step of gradient = "authors_code": centering over the input channels and
/// clipping to [-1, 1]. The excess of the clipping is given back to the clipped values.
at::Tensor before_centering(const std::string& name, const at::Tensor& w) {
  if (name != "conv.weight" && name != "classify.weight") return w;
  const at::Tensor missing = -w.sum(1, /*keepdim=*/true);
  const at::Tensor clipped = at::where(missing > 0, w == 1, w == -1);
  return w + missing * clipped / clipped.sum(1, /*keepdim=*/true).clamp_min(1);
}

class XnorNetStep : public testing::TestWithParam<GoldenCase> {};

TEST_P(XnorNetStep, EqualsTheIndependentImplementation) {
  const json& which = golden()["cases"][GetParam().index];
  using Start = std::function<at::Tensor(const std::string&, const at::Tensor&)>;
  const auto as_it_is = [](const std::string&, const at::Tensor& w) { return w; };
  const bool centers = which["gradient"] == "authors_code";
  test::expect_golden_run(network(), which, "xnornet", {"gradient", "input_scale", "k_gradient"},
                          "[\"first\"]", 4, GetParam().channels_last,
                          centers ? Start(before_centering) : Start(as_it_is));
}

INSTANTIATE_TEST_SUITE_P(
    Golden, XnorNetStep, testing::ValuesIn(test::golden_cases(golden())),
    [](const testing::TestParamInfo<GoldenCase>& one) {
      return test::golden_name(golden(), one.param, {"gradient", "input_scale", "k_gradient"});
    });

}  // namespace
}  // namespace qhost
