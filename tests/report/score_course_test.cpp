// Compares the course's rules with their published figures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "report/score_networks.h"

namespace qhost::report {
namespace {

struct Row {
  const char* name;
  std::function<Graph()> graph;
  std::int64_t parameters, macs;
  std::vector<std::string> scores;  ///< as printed, under the bits of the head
};

const std::vector<UniformBits> head = {{32, 32}, {16, 16}, {8, 8}, {4, 4}, {1, 32}, {1, 8}, {1, 1}};

// DenseNet under (1,8) is 0.005584 + 0.111912 = 0.117496; the printed table has 0.118, the sum of
// the two rounded parts.
const std::vector<Row> rows = {
    {"ResNet18",
     resnet18,
     11173962,
     555422720,
     {"3.979", "1.990", "0.995", "0.497", "2.046", "0.558", "0.124"}},
    {"densenet_cifar",
     densenet_cifar,
     1000618,
     125341440,
     {"0.626", "0.313", "0.157", "0.078", "0.453", "0.117", "0.0196"}},
    {"WRN-16-4",
     [] { return wrn(16, 4); },
     2748890,
     392612352,
     {"1.893", "0.947", "0.473", "0.237", "1.418", "0.366", "0.0592"}},
    {"WRN-16-2",
     [] { return wrn(16, 2); },
     691674,
     101106944,
     {"0.485", "0.242", "0.121", "0.061", "0.365", "0.094", "0.0151"}},
    {"ResNet-20",
     resnet20,
     269722,
     40551040,
     {"0.193", "0.0965", "0.0482", "0.0241", "0.146", "0.0377", "0.0060"}},
};

Score uniform(const Graph& graph, ScoreRule rule, const UniformBits& bits) {
  return score(graph, {.rule = rule, .uniform = bits});
}

TEST(CourseScore, PublishedTableOfReferenceNetworks) {
  for (const Row& row : rows) {
    const Graph graph = row.graph();
    const Summary summary = summarize(graph);
    EXPECT_EQ(summary.parameters, row.parameters) << row.name;
    EXPECT_EQ(summary.macs, row.macs) << row.name;
    for (std::size_t i = 0; i < head.size(); ++i) {
      EXPECT_EQ(as_printed(uniform(graph, ScoreRule::course, head[i]).score, row.scores[i]),
                row.scores[i])
          << row.name << " " << head[i].weight_bits << "," << head[i].input_bits;
    }
  }
}

TEST(CourseScore, ResNet18InHalfPrecisionIsNotQuiteTwo) {
  const Score half = uniform(resnet18(), ScoreRule::course, {16, 16});
  EXPECT_EQ(as_printed(half.storage, "0.9977"), "0.9977");
  EXPECT_EQ(as_printed(half.operations, "0.9918"), "0.9918");
  EXPECT_EQ(as_printed(half.score, "1.9895"), "1.9895");
}

TEST(CourseScore, AFloatNetworkIsTheUniformOneOf32Bits) {
  const Graph graph = resnet20();
  for (const ScoreRule rule :
       {ScoreRule::course, ScoreRule::course_folded, ScoreRule::course2021_readme,
        ScoreRule::course2021_script, ScoreRule::course2021_script_functional}) {
    EXPECT_EQ(score(graph, {.rule = rule}).score, uniform(graph, rule, {32, 32}).score)
        << info(rule).name;
  }
}

// conv [8,3,3,3] on 8x8, bn, relu, conv2 [8,8,1,1], bn2 on an add, fc [10,8] + bias
Graph small() {
  GraphBuilder g;
  Value x = g.conv2d("conv1", g.input({{3, 8, 8}}), {.out_channels = 8, .kernel = 3, .padding = 1});
  x = g.relu("relu1", g.batch_norm("bn1", x));
  x = g.add("add", g.conv2d("conv2", x, {.out_channels = 8, .kernel = 1}), x);
  x = g.global_average_pool("pool", g.batch_norm("bn2", x));
  return g.finish(g.linear("fc", x, {.out_features = 10}), 10);
}

std::map<std::string, LayerPlan> plans() {
  return {{"conv1", {.weight = Encoding::binary(ScaleKind::channel)}},
          {"conv2",
           {.weight = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::none),
            .input = Encoding::uniform(8, ScaleKind::tensor, ZeroPointKind::none)}}};
}

TEST(CourseScore, TakesTheBitsOfEachTensor) {
  const Score result = score(small(), {.rule = ScoreRule::course, .plans = plans()});
  const double values = 216 / 32.0 + 64 * 4 / 32.0 + 80 + 10 + 16 + 16;
  const double macs = 216 * 64 + 64 * 64 * 8 / 32.0 + 80;
  EXPECT_DOUBLE_EQ(result.stored_parameters, values);
  EXPECT_DOUBLE_EQ(result.counted_operations, macs);
  EXPECT_DOUBLE_EQ(result.storage, values / 5.6e6);
  EXPECT_DOUBLE_EQ(result.operations, macs / 2.8e8);
  EXPECT_DOUBLE_EQ(result.score, values / 5.6e6 + macs / 2.8e8);
  EXPECT_EQ(layer(result, "conv1").weight_bits, 1);
  EXPECT_EQ(layer(result, "conv1").input_bits, 32);
  EXPECT_FALSE(layer(result, "bn1").weight_bits);
}

TEST(CourseScore, ACorrectedBiasCountsWhereThereIsNoOther) {
  std::map<std::string, LayerPlan> corrected = plans();
  for (auto& [unused, plan] : corrected) plan.bias_correction = true;
  const Score result = score(small(), {.rule = ScoreRule::course, .plans = corrected});
  const ScoreItem biases = item(layer(result, "conv2").stored, "biases");
  EXPECT_EQ(biases.count, 8);
  EXPECT_EQ(biases.bits, 32);
  EXPECT_EQ(item(layer(result, "conv1").stored, "biases").count, 0);
  EXPECT_DOUBLE_EQ(
      result.stored_parameters,
      score(small(), {.rule = ScoreRule::course, .plans = plans()}).stored_parameters + 8);
}

TEST(CourseScore, FoldsBatchNormWhereALayerCanTakeIt) {
  const Score result = score(small(), {.rule = ScoreRule::course_folded, .plans = plans()});
  // conv1 is coded: its batch norm leaves a scale and a bias per channel. bn2 reads a sum and
  // stays.
  EXPECT_DOUBLE_EQ(layer(result, "conv1").storage(), 216 / 32.0 + 8 + 8);
  EXPECT_DOUBLE_EQ(layer(result, "bn1").storage(), 0);
  EXPECT_DOUBLE_EQ(layer(result, "conv2").storage(), 64 * 4 / 32.0);
  EXPECT_DOUBLE_EQ(layer(result, "bn2").storage(), 16);
  EXPECT_DOUBLE_EQ(layer(result, "fc").storage(), 90);
  // A float weight absorbs gamma: only the bias is left.
  const Score plain = score(small(), {.rule = ScoreRule::course_folded});
  EXPECT_DOUBLE_EQ(layer(plain, "conv1").storage(), 216 + 8);
  EXPECT_DOUBLE_EQ(plain.operations, score(small(), {.rule = ScoreRule::course}).operations);
}

TEST(CourseScore, ABatchNormThatIsNotTheOnlyReaderStays) {
  GraphBuilder g;
  Value x = g.conv2d("conv", g.input({{3, 4, 4}}), {.out_channels = 8, .kernel = 1});
  x = g.add("add", g.batch_norm("bn", x), x);
  const Graph graph =
      g.finish(g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10}), 10);
  const Score result = score(graph, {.rule = ScoreRule::course_folded});
  EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), 24);
  EXPECT_DOUBLE_EQ(layer(result, "bn").storage(), 16);
}

TEST(CourseScore, ZerosReduceStorageAndNothingElse) {
  ScoreRequest request{.rule = ScoreRule::course, .plans = plans()};
  const Score dense = score(small(), request);
  request.sparsity["conv2"] = {.nonzero = 16};
  const Score pruned = score(small(), request);
  EXPECT_DOUBLE_EQ(layer(pruned, "conv2").storage(), 16 * 4 / 32.0);  // p_u = 3/4, no mask
  EXPECT_DOUBLE_EQ(pruned.operations, dense.operations);
}

TEST(CourseScore, AnEnsembleStoresAndRunsEveryMember) {
  Encoding sampled = Encoding::binary(ScaleKind::none);
  sampled.ensemble_size = 5;
  const Score result =
      score(small(), {.rule = ScoreRule::course, .plans = {{"conv2", {.weight = sampled}}}});
  EXPECT_EQ(layer(result, "conv2").weight_bits, 5);
  EXPECT_DOUBLE_EQ(layer(result, "conv2").storage(), 5 * 64 / 32.0);
  EXPECT_DOUBLE_EQ(layer(result, "conv1").operations(), 216 * 64);  // before the first sample
  EXPECT_DOUBLE_EQ(layer(result, "conv2").operations(), 5 * 64 * 64);
  EXPECT_DOUBLE_EQ(layer(result, "fc").operations(), 5 * 80);
}

TEST(Course2021Score, TheReferenceIsTheScriptOnResNet18AtHalfPrecision) {
  const Score half = uniform(resnet18(), ScoreRule::course2021_script_functional, {16, 16});
  EXPECT_DOUBLE_EQ(half.counted_operations,
                   1.5 * 555417600 - 614400 + 3 * 614400 + (256 + 511) * 10);
  EXPECT_EQ(as_printed(half.counted_operations, "834362870"), "834362870");
  EXPECT_DOUBLE_EQ(half.stored_parameters, 5586981);
  EXPECT_DOUBLE_EQ(half.storage, 1);
  // The published 834,362,880 is this sum in float32: 10 more.
  EXPECT_EQ(as_printed(half.score, "2.0000000"), "2.0000000");
}

TEST(Course2021Score, TheFactorOfTheScriptIs32OverTheBits) {
  const Graph graph =
      one_convolution({.out_channels = 16, .kernel = 3, .padding = 1, .bias = true}, 8);
  const double outputs = 16 * 16, products = 9 * 8;
  for (const auto& [bits, factor] : std::map<int, double>{{1, 32}, {8, 4}, {16, 2}, {32, 1}}) {
    const Score result = uniform(graph, ScoreRule::course2021_script, {bits, 32});
    EXPECT_DOUBLE_EQ(layer(result, "conv").operations(),
                     outputs * (products / factor + products - 1 + 1));
    EXPECT_DOUBLE_EQ(layer(result, "conv").storage(), (16 * 72 + 16) / factor);
    EXPECT_DOUBLE_EQ(layer(result, "fc").operations(), 10 * (16 / factor + 15));  // no bias
    EXPECT_DOUBLE_EQ(layer(result, "pool").operations(), 0);
  }
}

TEST(Course2021Score, TheScriptDividesByTheGroups) {
  const Graph graph =
      one_convolution({.out_channels = 16, .kernel = 3, .padding = 1, .groups = 4}, 8);
  const Score result = uniform(graph, ScoreRule::course2021_script, {16, 16});
  EXPECT_DOUBLE_EQ(layer(result, "conv").operations(), 256 * (72 / 2.0 + 71) / 4);
}

TEST(Course2021Score, OtherOperationsOfTheScript) {
  GraphBuilder g;
  Value x = g.conv2d("conv", g.input({{3, 8, 8}}), {.out_channels = 8, .kernel = 1});
  x = g.relu("relu", g.batch_norm("bn", x));
  x = g.average_pool("mean", x, {.kernel = 4, .stride = 4});
  x = g.linear("fc", g.flatten("flat", x), {.out_features = 10});
  const Graph graph = g.finish(x, 10);
  const Score modules = score(graph, {.rule = ScoreRule::course2021_script});
  EXPECT_DOUBLE_EQ(layer(modules, "bn").operations(), 3 * 512);
  EXPECT_DOUBLE_EQ(layer(modules, "relu").operations(), 512);
  EXPECT_DOUBLE_EQ(layer(modules, "mean").operations(), 4 * 32);  // k instead of the intended k*k
  EXPECT_THAT(modules.notes, ::testing::Contains(::testing::HasSubstr("512 ReLUs are counted")));
  const Score calls = score(graph, {.rule = ScoreRule::course2021_script_functional});
  EXPECT_DOUBLE_EQ(layer(calls, "relu").operations(), 0);
  EXPECT_DOUBLE_EQ(layer(calls, "mean").operations(), 0);
  EXPECT_DOUBLE_EQ(modules.counted_operations - calls.counted_operations, 512 + 128);
}

// The text scales every operation of a layer, the script only its multiplies.
TEST(Course2021Score, TextAndScriptDisagree) {
  const Graph graph = one_convolution({.out_channels = 16, .kernel = 1}, 8);
  const std::map<std::string, LayerPlan> coded = {
      {"conv",
       {.weight = Encoding::uniform(3, ScaleKind::tensor, ZeroPointKind::none),
        .input = Encoding::uniform(5, ScaleKind::tensor, ZeroPointKind::none)}}};
  const Score readme = score(graph, {.rule = ScoreRule::course2021_readme, .plans = coded});
  EXPECT_DOUBLE_EQ(layer(readme, "conv").operations(), 256 * (8 + 7) * 5 / 32.0);
  EXPECT_DOUBLE_EQ(layer(readme, "conv").storage(), 128 * 3 / 32.0);
  const Score script = score(graph, {.rule = ScoreRule::course2021_script, .plans = coded});
  EXPECT_DOUBLE_EQ(layer(script, "conv").operations(), 256 * (8 * 3 / 32.0 + 7));
  // With the same encoding everywhere, all operations have the larger of the two widths.
  const Score alike = uniform(resnet20(), ScoreRule::course2021_readme, {1, 8});
  const Score full = uniform(resnet20(), ScoreRule::course2021_readme, {32, 32});
  EXPECT_DOUBLE_EQ(alike.operations, full.operations / 4);
  EXPECT_DOUBLE_EQ(alike.storage, full.storage / 32);
}

TEST(Course2021Score, EachDataSetHasItsReference) {
  const Score cifar100 =
      score(wrn(16, 2, 100), {.rule = ScoreRule::course2021_readme, .data_set = "cifar100"});
  EXPECT_EQ(cifar100.reference.parameters, 36.5e6);
  EXPECT_EQ(cifar100.reference.operations, 10.49e9);
  EXPECT_EQ(cifar100.reference.threshold, 0.8);
  const Score cifar10 =
      score(wrn(16, 2), {.rule = ScoreRule::course2021_readme, .data_set = "cifar10"});
  EXPECT_EQ(cifar10.reference.parameters, 5586981);
  EXPECT_EQ(cifar10.reference.operations, 834362880);
  EXPECT_EQ(cifar10.reference.threshold, 0.9);
}

}  // namespace
}  // namespace qhost::report
