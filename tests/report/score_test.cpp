// Common to all scoring rules: names, references, verdicts, output, errors.
#include "report/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qhost/error.h"
#include "report/render.h"
#include "report/score_networks.h"

namespace qhost::report {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// conv [8,3,3,3] on 8x8, bn, relu, pool, fc [10,8] + bias
Graph network(std::int64_t classes = 10) {
  GraphBuilder g;
  Value x = g.conv2d("conv1", g.input({{3, 8, 8}}), {.out_channels = 8, .kernel = 3, .padding = 1});
  x = g.global_average_pool("pool", g.relu("relu1", g.batch_norm("bn1", x)));
  return g.finish(g.linear("fc", x, {.out_features = classes}), classes);
}

std::string error_of(const std::function<void()>& work, ErrorKind kind) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(ScoreRules, EveryNameIsFoundAgain) {
  std::vector<std::string> names;
  for (const ScoreRuleInfo& rule : score_rules()) {
    EXPECT_EQ(parse_score_rule(rule.name), rule.rule);
    EXPECT_EQ(info(rule.rule).name, rule.name);
    names.push_back(rule.name);
  }
  EXPECT_THAT(names, ElementsAre("micronet", "micronet-adder-tree", "micronet-float-adds", "course",
                                 "course-folded", "course2021-readme", "course2021-script",
                                 "course2021-script-functional"));
}

TEST(ScoreRules, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  EXPECT_EQ(error_of([] { parse_score_rule("micronett"); }, ErrorKind::configuration),
            "there is no scoring rule `micronett`\n"
            "help: did you mean `micronet`? the rules are micronet, micronet-adder-tree, "
            "micronet-float-adds, course, course-folded, course2021-readme, course2021-script, "
            "course2021-script-functional");
  EXPECT_THAT(error_of([] { parse_score_rule(""); }, ErrorKind::configuration),
              HasSubstr("there is no scoring rule ``\nhelp: the rules are micronet, "));
}

TEST(ScoreRules, UniformBitsAreTwoNumbers) {
  EXPECT_EQ(parse_uniform("8,4"), (UniformBits{8, 4}));
  EXPECT_EQ(parse_uniform("1,32"), (UniformBits{1, 32}));
  for (const char* wrong : {"", "8", "8,", ",8", "8,8,8", "8 8", " 8,8", "0,8", "8,33", "-1,8",
                            "1.5,8", "8,4x", "99999999999,1"}) {
    EXPECT_EQ(error_of([&] { parse_uniform(wrong); }, ErrorKind::configuration),
              std::string("--uniform takes the bits of weights and of inputs, two whole numbers "
                          "from 1 to 32 with a comma between them; found `") +
                  wrong + "`\nhelp: --uniform 8,8; 1,32 is binary weights with float inputs");
  }
}

TEST(Score, BelowTheThresholdItIsStillAScore) {
  ScoreRequest request{.rule = ScoreRule::course, .data_set = "cifar10", .accuracy = 0.8999};
  const Score below = score(network(), request);
  EXPECT_GT(below.score, 0);
  EXPECT_EQ(below.qualifies, false);
  EXPECT_EQ(below.why_not, "accuracy 89.99 % is below the threshold of 90 %");
  EXPECT_THAT(render_text(document_of(below)),
              HasSubstr("\nqualifies     no: accuracy 89.99 % is below the "
                        "threshold of 90 %\n"));
  request.accuracy = 0.9;  // 9000 of 10000: the threshold is reached, not exceeded
  const Score reached = score(network(), request);
  EXPECT_EQ(reached.qualifies, true);
  EXPECT_EQ(reached.score, below.score);
  EXPECT_THAT(render_text(document_of(reached)),
              HasSubstr("\naccuracy      90 %; the rule asks for 90 % on "
                        "cifar10\nqualifies     yes\n"));
  request.accuracy = {};
  EXPECT_FALSE(score(network(), request).qualifies);
  EXPECT_THAT(render_text(document_of(score(network(), request))),
              HasSubstr("\naccuracy      unknown; the rule asks for 90 % on cifar10\n"));
}

TEST(Score, OnlyTheRulesOwnDataSetQualifies) {
  const Score other =
      score(network(), {.rule = ScoreRule::course, .data_set = "digits", .accuracy = 0.99});
  EXPECT_EQ(other.qualifies, false);
  EXPECT_EQ(other.why_not, "the rule is for cifar10, the network for digits");
  const Score part =
      score(network(4), {.rule = ScoreRule::course, .data_set = "cifar10", .accuracy = 0.99});
  EXPECT_EQ(part.why_not, "the rule is for the 10 classes of cifar10, the network has 4");
  const Score enough =
      score(network(100), {.rule = ScoreRule::micronet, .data_set = "cifar100", .accuracy = 0.8});
  EXPECT_EQ(enough.qualifies, true);
}

TEST(Score, AnAccuracySaysNothingAboutOtherBits) {
  const Score result = score(network(), {.rule = ScoreRule::course,
                                         .uniform = UniformBits{1, 1},
                                         .data_set = "cifar10",
                                         .accuracy = 0.95});
  EXPECT_FALSE(result.qualifies);
  EXPECT_THAT(result.notes,
              ElementsAre("as if every weight had 1 and every input 1 bits, whatever the "
                          "experiment says; the accuracy is that of the network as it was "
                          "trained"));
}

TEST(Score, TheReferenceIsAValue) {
  const ScoreReference own{"mine", 10, "twice as small", 2.8e6, 1.4e8, 0.5};
  const Score result = score(network(), {.rule = ScoreRule::course, .reference = own});
  EXPECT_DOUBLE_EQ(result.score, 2 * score(network(), {.rule = ScoreRule::course}).score);
}

TEST(Score, ThePartsAreTheSumsOfTheLayers) {
  const Graph graph = resnet20();
  for (const ScoreRuleInfo& rule : score_rules()) {
    const nlohmann::json json = render_json(document_of(score(graph, {.rule = rule.rule})));
    double storage = 0, operations = 0;
    for (const nlohmann::json& one : json["layers"]) {
      storage += one["storage"].get<double>();
      operations += one["operations"].get<double>();
    }
    EXPECT_DOUBLE_EQ(json["stored_parameters"], storage) << rule.name;
    EXPECT_DOUBLE_EQ(json["counted_operations"], operations) << rule.name;
    EXPECT_DOUBLE_EQ(json["score"],
                     json["storage"].get<double>() + json["operations"].get<double>());
  }
}

TEST(Score, JsonHasThePromisedKeys) {
  const nlohmann::json json = render_json(document_of(
      score(network(), {.rule = ScoreRule::course,
                        .plans = {{"conv1", {.weight = Encoding::binary(ScaleKind::channel)}}},
                        .data_set = "cifar10",
                        .accuracy = 0.5})));
  EXPECT_EQ(json["rule"], "course");
  EXPECT_DOUBLE_EQ(json["storage"], (216 / 32.0 + 16 + 90) / 5.6e6);
  EXPECT_DOUBLE_EQ(json["operations"], (216 * 64 + 80) / 2.8e8);
  EXPECT_EQ(json["threshold"], 0.9);
  EXPECT_EQ(json["accuracy"], 0.5);
  EXPECT_EQ(json["qualifies"], false);
  EXPECT_EQ(json["data_set"], "cifar10");
  EXPECT_EQ(json["reference"]["network"], "ResNet18 at 16 bits");
  EXPECT_EQ(json["reference"]["parameters"], 5.6e6);
  EXPECT_TRUE(json["uniform"].is_null());
  ASSERT_EQ(json["layers"].size(), 5u);
  const nlohmann::json& conv = json["layers"][0];
  EXPECT_EQ(conv["name"], "conv1");
  EXPECT_EQ(conv["op"], "conv2d");
  EXPECT_EQ(conv["weight_bits"], 1);
  EXPECT_EQ(conv["input_bits"], 32);
  EXPECT_EQ(conv["stored"], nlohmann::json({{{"what", "weights"}, {"count", 216}, {"bits", 1}}}));
  EXPECT_TRUE(json["layers"][1]["weight_bits"].is_null());
  const nlohmann::json bare = render_json(
      document_of(score(network(), {.rule = ScoreRule::micronet, .uniform = UniformBits{8, 4}})));
  EXPECT_TRUE(bare["accuracy"].is_null());
  EXPECT_EQ(bare["uniform"], nlohmann::json({{"weight_bits", 8}, {"input_bits", 4}}));
  EXPECT_EQ(bare["freebie"], false);
}

TEST(Score, TextIsATableWithItsTotals) {
  // clang-format off
  EXPECT_EQ(
      render_text(document_of(score(network(), {.rule = ScoreRule::course,
                                .plans = {{"conv1", {.weight = Encoding::binary(ScaleKind::none)}}},
                                .data_set = "cifar10",
                                .accuracy = 0.5}))),
      "layer  operation            weight bits  input bits  values  storage  operations  weighted   share\n"
      "-----  -------------------  -----------  ----------  ------  -------  ----------  --------  ------\n"
      "conv1  conv2d 3x3 stride 1            1          32     216        7      13,824    13,824  72.5 %\n"
      "bn1    batch_norm                     -           -      16       16           -         -   4.1 %\n"
      "fc     linear                        32          32      90       90          80        80  23.4 %\n"
      "-----  -------------------  -----------  ----------  ------  -------  ----------  --------  ------\n"
      "total                                                   322      113      13,904    13,904   100 %\n"
      "\n"
      "rule          course: the course since 2025: weights and multiply-accumulates, batch norm's learned values among the weights (brain-bzh/efficient-deep-learning, lab4.md of 2025-02-26)\n"
      "score         6.9791e-05, lower is better\n"
      "storage       2.0134e-05 = 113 / 5,600,000 parameters of 32 bits\n"
      "operations    4.9657e-05 = 13,904 / 280,000,000 operations of 32 bits\n"
      "reference     ResNet18 at 16 bits\n"
      "accuracy      50 %; the rule asks for 90 % on cifar10\n"
      "qualifies     no: accuracy 50 % is below the threshold of 90 %\n"
      "note: biases and batch norm count as trained, 32 bits a value; course-folded counts what folding leaves; the rule knows no scales, zero points or codebooks\n");
  // clang-format on
  EXPECT_THAT(render_text(document_of(score(network(), {.rule = ScoreRule::course}))),
              Not(HasSubstr("qualifies")));
}

// conv1 has 216 weights in 8 filters on 64 positions, fc 80.
TEST(Score, ZerosLowerItByWhatTheyDoNotCost) {
  for (const ScoreRule rule : {ScoreRule::course, ScoreRule::micronet}) {
    ScoreRequest request{.rule = rule,
                         .plans = {{"conv1", {.weight = Encoding::ternary(ScaleKind::tensor)}}}};
    const Score dense = score(network(), request);
    request.sparsity = {{"conv1", {.nonzero = 116}}, {"fc", {.nonzero = 80}}};
    const Score sparse = score(network(), request);
    const bool course = rule == ScoreRule::course;
    // course: 100 fewer codes of 2 bits. micronet: from 216 * 2 bits to a mask of 216 bits and 116
    // signs. A multiply by a sign has 1 bit, an add of floats 32.
    EXPECT_DOUBLE_EQ(dense.stored_parameters - sparse.stored_parameters,
                     course ? 200 / 32.0 : (216 * 2 - 216 - 116) / 32.0);
    EXPECT_DOUBLE_EQ(dense.counted_operations - sparse.counted_operations,
                     course ? 0 : 100 * 64 * (1 / 32.0 + 1));
    EXPECT_FALSE(dense.zeros);
    EXPECT_EQ(sparse.zeros, 100);
    EXPECT_THAT(sparse.notes,
                Contains(course ? "100 of 296 weights are 0: they are not stored, and multiplied "
                                  "like the others"
                                : "100 of 296 weights are 0: they are not multiplied, and not "
                                  "stored where a mask of one bit a weight takes less"));
    EXPECT_EQ(layer(sparse, "conv1").zeros, 100);
    EXPECT_EQ(layer(sparse, "fc").zeros, 0);
    EXPECT_FALSE(layer(sparse, "bn1").zeros);
    const nlohmann::json json = render_json(document_of(sparse));
    EXPECT_EQ(json["zeros"], 100);
    EXPECT_EQ(json["layers"][0]["zeros"], 100);
    EXPECT_EQ(json["layers"][1]["zeros"], nullptr);
    EXPECT_EQ(render_json(document_of(dense))["layers"][0]["zeros"], nullptr);
    EXPECT_THAT(render_text(document_of(sparse)), HasSubstr("input bits  zeros  values"));
    EXPECT_THAT(render_text(document_of(dense)), HasSubstr("input bits  values"));
  }
}

TEST(Score, ItsTextSaysWhetherZerosWereCounted) {
  ScoreRequest request{.rule = ScoreRule::course};
  request.sparsity = {{"conv1", {.nonzero = 216}}};
  const Score none = score(network(), request);
  EXPECT_THAT(none.notes, Contains("0 of 216 weights are 0; of 80 more it is unknown"));
  EXPECT_THAT(render_text(document_of(none)), HasSubstr("input bits  values"))
      << "a column of nothing";
  request.sparsity.clear();
  EXPECT_EQ(score(network(), request).score, none.score);
  request.why_dense = "they are unknown";
  EXPECT_THAT(score(network(), request).notes,
              Contains("zeros among the weights count like other values: they are unknown"));
}

TEST(ScoreErrors, ANetworkWithoutWeightsHasNone) {
  GraphBuilder g;
  const Value x = g.global_average_pool("pool", g.input({{10, 4, 4}}));
  const Graph graph = g.finish(x, 10);
  EXPECT_EQ(error_of([&] { score(graph, {.rule = ScoreRule::course}); }, ErrorKind::configuration),
            "the network has no weights: 0 learned values in 1 node, and a score compares what is "
            "stored and computed for weights\n"
            "help: an architecture with a conv2d or linear layer has a score; `qhost summary` "
            "shows what this one has");
}

TEST(ScoreErrors, PlansAndZerosMustFitTheNetwork) {
  EXPECT_THAT(error_of(
                  [] {
                    score(network(), {.plans = {{"conv9", {}}}});
                  },
                  ErrorKind::internal),
              HasSubstr("`conv9`, which the network does not have"));
  EXPECT_EQ(error_of(
                [] {
                  score(network(), {.sparsity = {{"bn1", {}}}});
                },
                ErrorKind::internal),
            "a score is given the zeros of `bn1`, which has no weight\n"
            "help: this is a defect of qhost; please report it");
  EXPECT_EQ(error_of(
                [] {
                  score(network(), {.sparsity = {{"fc", {.nonzero = 81}}}});
                },
                ErrorKind::internal),
            "a score is given 81 non-zero weights of fc, which has 80, in blocks of 1\n"
            "help: this is a defect of qhost; please report it");
}

TEST(ScoreErrors, EncodingsMustBeConsistent) {
  Encoding wrong = Encoding::binary(ScaleKind::none);
  wrong.bits = 2;
  EXPECT_THAT(error_of(
                  [&] {
                    score(network(), {.plans = {{"conv1", {.weight = wrong}}}});
                  },
                  ErrorKind::configuration),
              HasSubstr("gives conv1 an inconsistent weight encoding"));
}

}  // namespace
}  // namespace qhost::report
