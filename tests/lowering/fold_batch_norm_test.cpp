#include "lowering/passes/fold_batch_norm.h"

#include "support.h"

namespace qhost {
namespace {

using test::at;
using test::conv_bn_relu;
using test::lines;
using ::testing::ElementsAre;

InferenceGraph folded(const Graph& graph, const LayerPlans& plans, FoldWhere where) {
  InferenceGraph result = start_graph(graph, plans);
  fold_batch_norm(result, where);
  EXPECT_EQ(why_invalid(result), "");
  return result;
}

TEST(FoldBatchNorm, LeavesABiasInItsPlace) {
  const InferenceGraph graph = folded(conv_bn_relu(), {}, FoldWhere::every_layer);
  EXPECT_THAT(lines(graph), ElementsAre("input:", "conv: input", "relu: conv", "pool: relu"));
  EXPECT_EQ(at(graph, "conv").folded_batch_norm, "bn");
  EXPECT_EQ(graph.tensor(at(graph, "conv"), "bias")->shape, std::vector<std::int64_t>{3});
  EXPECT_EQ(graph.tensors.size(), 2U);
  EXPECT_EQ(graph.tensors.at("conv.weight").encoding, Encoding::float32());
}

TEST(FoldBatchNorm, OfCodesTheFactorJoinsTheScale) {
  const auto scale_of = [](const Encoding& encoding, FoldWhere where) {
    const InferenceGraph graph =
        folded(conv_bn_relu(), {{"conv", {.weight = encoding, .folds_batch_norm = true}}}, where);
    EXPECT_EQ(at(graph, "conv").folded_batch_norm, "bn");
    return graph.tensors.at("conv.weight").encoding.scale;
  };
  const auto every = FoldWhere::every_layer;
  EXPECT_EQ(scale_of(Encoding::binary(ScaleKind::none), every), ScaleKind::channel);
  EXPECT_EQ(scale_of(Encoding::ternary(ScaleKind::tensor), every), ScaleKind::channel);
  EXPECT_EQ(scale_of(Encoding::codebook(16, ScaleKind::none, false), every), ScaleKind::channel);
  // These kinds absorb the factor.
  EXPECT_EQ(scale_of(Encoding::codebook(16, ScaleKind::none, true), every), ScaleKind::none);
  EXPECT_EQ(scale_of(Encoding::float16(), every), ScaleKind::none);
  // Here the method encodes the folded weight, so the scale is its own.
  EXPECT_EQ(scale_of(Encoding::ternary(ScaleKind::tensor), FoldWhere::methods_that_fold),
            ScaleKind::tensor);
}

TEST(FoldBatchNorm, HappensWhereTheMethodFolds) {
  const auto methods = FoldWhere::methods_that_fold;
  EXPECT_EQ(lines(folded(conv_bn_relu(), {}, methods)).size(), 5U);
  EXPECT_EQ(lines(folded(conv_bn_relu(), {{"conv", {.folds_batch_norm = true}}}, methods)).size(),
            4U);
}

TEST(FoldBatchNorm, ABatchNormStaysThatIsNotTheOnlyReader) {
  const auto build = [](bool shortcut) {
    return test::network({{2, 4, 4}}, [&](GraphBuilder& g, Value x) {
      const Value conv = g.conv2d("conv", x, {.out_channels = 3, .padding = 1});
      const Value norm = g.batch_norm("bn", conv);
      return g.global_average_pool("pool", shortcut ? g.add("sum", norm, conv) : norm);
    });
  };
  EXPECT_EQ(lines(folded(build(true), {}, FoldWhere::every_layer)).size(), 5U);
  EXPECT_EQ(lines(folded(build(false), {}, FoldWhere::every_layer)).size(), 3U);
}

TEST(FoldBatchNorm, ABatchNormOfSomethingElseStays) {
  const Graph graph = test::network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.batch_norm("bn1", g.relu("relu", x));
    x = g.batch_norm("bn3", g.batch_norm("bn2", g.conv2d("conv", x, {.out_channels = 3})));
    return g.global_average_pool("pool", x);
  });
  // Of two consecutive batch norms, the first is folded into the convolution.
  EXPECT_THAT(
      lines(folded(graph, {}, FoldWhere::every_layer)),
      ElementsAre("input:", "relu: input", "bn1: relu", "conv: bn1", "bn3: conv", "pool: bn3"));
}

TEST(FoldBatchNorm, ALinearLayerTakesOneToo) {
  const Graph graph = test::network({{4}}, [](GraphBuilder& g, Value x) {
    return g.batch_norm("bn", g.linear("fc", x, {.out_features = 3}));
  });
  const InferenceGraph result = folded(graph, {}, FoldWhere::every_layer);
  EXPECT_THAT(lines(result), ElementsAre("input:", "fc: input"));
  EXPECT_EQ(result.output, 1);
}

TEST(FoldBatchNorm, ComesBeforeTheWeightIsStored) {
  InferenceGraph graph = start_graph(conv_bn_relu(), {});
  graph.tensors.at("conv.weight") = float_tensor({3, 2, 3, 3}, std::vector<float>(54, 1.0F));
  EXPECT_THAT(test::internal_error_of([&] { fold_batch_norm(graph, FoldWhere::every_layer); }),
              ::testing::StartsWith("fold_batch_norm comes after the weight of conv was stored\n"));
}

}  // namespace
}  // namespace qhost
