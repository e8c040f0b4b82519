#include "lowering/lower.h"

#include "support.h"

namespace qhost {
namespace {

using test::at;
using test::lines;
using ::testing::ElementsAre;

/// A binary convolution that wants signed values behind ReLU, max pooling and dropout. The method
/// of the first convolution folds and corrects.
Graph two_convolutions(bool shortcut) {
  return test::network({{2, 8, 8}}, [&](GraphBuilder& g, Value x) {
    x = g.batch_norm("bn", g.conv2d("conv1", x, {.out_channels = 4, .padding = 1}));
    const Value relu = g.relu("relu", x);
    x = g.dropout("drop", g.max_pool("max", relu));
    x = g.global_average_pool("pool", g.conv2d("conv2", x, {.out_channels = 4, .kernel = 1}));
    return shortcut ? g.add("sum", x, g.global_average_pool("pool2", relu)) : x;
  });
}

LayerPlans plans() {
  return {{"conv1",
           {.weight = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::none),
            .weight_method = "ptq",
            .bias_correction = true,
            .folds_batch_norm = true}},
          {"conv2",
           {.weight = Encoding::binary(ScaleKind::none),
            .input = Encoding::binary(ScaleKind::none),
            .weight_method = "bnn",
            .input_method = "bnn",
            .bypassed_relu = "relu"}}};
}

InferenceGraph lowered(bool shortcut, Purpose purpose) {
  return lower(start_graph(two_convolutions(shortcut), plans()), purpose);
}

TEST(Lower, ForEvaluationWhatIsComputedIsLeft) {
  EXPECT_THAT(
      lines(lowered(false, Purpose::evaluation)),
      ElementsAre("input:", "conv1: input", "conv2/max: conv1", "conv2: conv2/max", "pool: conv2"));
  const InferenceGraph graph = lowered(true, Purpose::evaluation);
  EXPECT_THAT(lines(graph),
              ElementsAre("input:", "conv1: input", "relu: conv1", "conv2/max: conv1",
                          "conv2: conv2/max", "pool: conv2", "pool2: relu", "sum: pool pool2"));
  EXPECT_EQ(why_invalid(graph), "");
  EXPECT_TRUE(at(graph, "conv1").has_tensor("bias"));
  EXPECT_EQ(graph.tensors.at("conv1.weight").encoding.scale, ScaleKind::tensor);
}

TEST(Lower, ForTrainingOnlyWhatNobodyReadsIsLeftOut) {
  const InferenceGraph graph = lowered(false, Purpose::training);
  for (const char* gone : {"relu", "max", "drop"}) EXPECT_LT(graph.find(gone), 0) << gone;
  for (const char* left : {"conv1", "bn", "conv2", "pool"}) EXPECT_GE(graph.find(left), 0) << left;
  EXPECT_GE(lowered(true, Purpose::training).find("relu"), 0);
}

TEST(Lower, ForASummaryNothingIsTakenOut) {
  const InferenceGraph graph = lowered(false, Purpose::summary);
  EXPECT_EQ(graph.nodes.size(), two_convolutions(false).nodes().size());
  EXPECT_FALSE(at(graph, "conv1").has_tensor("bias"));  // its batch norm absorbs it
}

TEST(Lower, ForAScoreAsTrainedBatchNormsStay) {
  EXPECT_THAT(lines(lowered(false, Purpose::score_as_trained)),
              ElementsAre("input:", "conv1: input", "bn: conv1", "conv2/max: bn",
                          "conv2: conv2/max", "pool: conv2"));
}

TEST(Lower, ForAFoldedScoreEveryBatchNormGoesThatCan) {
  const LayerPlans none;
  const InferenceGraph graph =
      lower(start_graph(two_convolutions(true), none), Purpose::score_folded);
  EXPECT_EQ(graph.find("bn"), -1);
  EXPECT_EQ(at(graph, "conv1").folded_batch_norm, "bn");
  EXPECT_GE(graph.find("relu"), 0);
  EXPECT_EQ(why_invalid(graph), "");
}

/// No pass is left to apply, for every purpose (the graph of a summary is not stored).
TEST(Lower, TheGraphIsSoundAfterwards) {
  for (const bool shortcut : {false, true}) {
    for (const Purpose purpose : {Purpose::evaluation, Purpose::score_folded}) {
      EXPECT_EQ(why_invalid(lowered(shortcut, purpose)), "");
    }
  }
}

TEST(Passes, AreNamedInTheirOrder) {
  std::vector<std::string> names;
  for (const Pass& pass : passes_for(Purpose::evaluation)) names.emplace_back(pass.name);
  EXPECT_THAT(names, ElementsAre("bypass_relu", "add_correction_bias", "fold_batch_norm",
                                 "drop_dropout", "drop_dead"));
}

}  // namespace
}  // namespace qhost
