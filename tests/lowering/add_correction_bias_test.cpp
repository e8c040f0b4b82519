#include "lowering/passes/add_correction_bias.h"

#include "support.h"

namespace qhost {
namespace {

using test::at;
using test::conv_bn_relu;

bool has_bias(const Graph& graph, const std::string& node, CorrectionPlace place,
              bool corrects = true) {
  InferenceGraph result = start_graph(graph, {{node, {.bias_correction = corrects}}});
  add_correction_bias(result, place);
  EXPECT_EQ(why_invalid(result), "");
  return at(result, node).has_tensor("bias");
}

TEST(AddCorrectionBias, AddsOneWhereTheNodeHasNone) {
  const Graph plain = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.relu("relu", g.conv2d("conv", x, {.out_channels = 3}));
    return g.linear("fc", g.global_average_pool("pool", x), {.out_features = 3, .bias = false});
  });
  for (const auto place : {CorrectionPlace::own_bias, CorrectionPlace::batch_norm_behind}) {
    EXPECT_TRUE(has_bias(plain, "conv", place));
    EXPECT_TRUE(has_bias(plain, "fc", place));
    EXPECT_FALSE(has_bias(plain, "fc", place, /*corrects=*/false));
  }
}

TEST(AddCorrectionBias, ABiasTakesItIn) {
  InferenceGraph graph = start_graph(conv_bn_relu({}, true), {{"conv", {.bias_correction = true}}});
  const auto before = graph.tensors;
  add_correction_bias(graph, CorrectionPlace::own_bias);
  EXPECT_EQ(graph.tensors, before);
}

TEST(AddCorrectionBias, ABatchNormBehindMayTakeIt) {
  EXPECT_TRUE(has_bias(conv_bn_relu(), "conv", CorrectionPlace::own_bias));
  EXPECT_FALSE(has_bias(conv_bn_relu(), "conv", CorrectionPlace::batch_norm_behind));
  const Graph shared = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    const Value conv = g.conv2d("conv", x, {.out_channels = 3});
    return g.global_average_pool("pool", g.add("sum", g.batch_norm("bn", conv), conv));
  });
  EXPECT_TRUE(has_bias(shared, "conv", CorrectionPlace::batch_norm_behind));
}

}  // namespace
}  // namespace qhost
