#include "report/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "report/render.h"

namespace qhost::report {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Optional;

std::map<std::string, std::string> keys(int seed, const std::string& quantizer = "\"none\"") {
  return {{"data.name", "\"cifar10\""},
          {"model.depth", "20"},
          {"quantizer.0.name", quantizer},
          {"train.seed", std::to_string(seed)}};
}

ComparedRun run(const std::string& label, double accuracy,
                const std::map<std::string, std::string>& keys) {
  const bool binary = keys.at("quantizer.0.name") == "\"bwn\"";
  return {.label = label,
          .directory = "/runs/" + label,
          .status = "finished",
          .result = {.status = "finished",
                     .macs = 40813184,
                     .weight_bytes = binary ? 42000 : 1078888,
                     .bits_per_weight = binary ? 1.25 : 32,
                     .bits_per_input = 32,
                     .data_remark = "",
                     .test_accuracy = accuracy},
          .keys = keys};
}

ComparedRun unfinished(const std::string& label, const std::string& status, int seed) {
  ComparedRun out = run(label, 0.5, keys(seed));
  out.status = status;
  out.result = {};
  return out;
}

/// Adds the score of a rule for another data set, and that of a rule with a threshold.
ComparedRun scored(ComparedRun run) {
  const double score = run.result.bits_per_weight.value_or(32.0) / 100;
  run.scores["micronet"] = {score, false, "the rule is for cifar100, the network for cifar10"};
  RunScore& course = run.scores["course"] = {score * 2, std::nullopt, ""};
  if (run.result.test_accuracy) course.qualifies = *run.result.test_accuracy >= 0.9;
  if (course.qualifies == false) course.why_not = "accuracy is below the threshold";
  return run;
}

TEST(MeanAndDeviation, OfTheSample) {
  const MeanAndDeviation none = mean_and_deviation({});
  EXPECT_EQ(none.count, 0U);
  EXPECT_FALSE(none.mean);
  EXPECT_FALSE(none.deviation);
  const MeanAndDeviation one = mean_and_deviation({0.75});
  EXPECT_THAT(one.mean, Optional(0.75));
  EXPECT_FALSE(one.deviation) << "one number has no deviation, not the deviation 0";
  EXPECT_THAT(one.common(), Optional(0.75));
  // 2, 4, 4, 4, 5, 5, 7, 9: the squared deviations from the mean 5 sum to 32.
  const MeanAndDeviation eight = mean_and_deviation({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(eight.count, 8U);
  EXPECT_DOUBLE_EQ(eight.mean.value(), 5);
  EXPECT_DOUBLE_EQ(eight.deviation.value(), std::sqrt(32.0 / 7));
  EXPECT_FALSE(eight.common());
  // A sum of ten times 0.1 is not 1.
  const MeanAndDeviation equal = mean_and_deviation(std::vector<double>(10, 0.1));
  EXPECT_THAT(equal.mean, Optional(0.1));
  EXPECT_THAT(equal.deviation, Optional(0.0));
  // Far from 0, where sum(x^2) - n mean^2 would have no correct digit.
  EXPECT_NEAR(mean_and_deviation({1e9, 1e9 + 1, 1e9 + 2}).deviation.value(), 1, 1e-12);
}

TEST(Compare, RunsThatDifferInTheirSeedAreOneConfiguration) {
  const Comparison c = compare({run("a", 0.90, keys(1)), run("b", 0.80, keys(1, "\"bwn\"")),
                                run("c", 0.92, keys(2)), run("d", 0.94, keys(3))});
  EXPECT_THAT(c.configuration_of, ElementsAre(0, 1, 0, 0));
  ASSERT_EQ(c.configurations.size(), 2U);
  EXPECT_THAT(c.configurations[0].runs, ElementsAre(0, 2, 3));
  EXPECT_THAT(c.configurations[0].seeds, ElementsAre("1", "2", "3"));
  const MeanAndDeviation& accuracy = c.configurations[0].metrics.at("test_accuracy");
  EXPECT_EQ(accuracy.count, 3U);
  EXPECT_NEAR(accuracy.mean.value(), 0.92, 1e-15);
  EXPECT_NEAR(accuracy.deviation.value(), 0.02, 1e-15);
  EXPECT_FALSE(c.configurations[1].metrics.at("test_accuracy").deviation);
  EXPECT_THAT(c.configurations[1].metrics.at("bits_per_weight").common(), Optional(1.25));
  EXPECT_THAT(c.notes, IsEmpty());
}

TEST(Compare, DifferencesAreKeysWithTheValueOfEachConfiguration) {
  auto deeper = keys(1, "\"bwn\"");
  deeper["model.depth"] = "32";
  deeper["quantizer.0.gradient"] = "\"algorithm1\"";
  const Comparison c = compare({run("a", 0.9, keys(1)), run("b", 0.9, keys(2)),
                                run("c", 0.8, keys(1, "\"bwn\"")), run("d", 0.8, deeper)});
  ASSERT_EQ(c.differences.size(), 3U);
  EXPECT_EQ(c.differences[0].key, "model.depth");
  EXPECT_THAT(c.differences[0].values, ElementsAre("20", "20", "32"));
  EXPECT_EQ(c.differences[1].key, "quantizer.0.gradient");
  EXPECT_THAT(c.differences[1].values, ElementsAre(std::nullopt, std::nullopt, "\"algorithm1\""));
  EXPECT_EQ(c.differences[2].key, "quantizer.0.name");
}

/// A run quantized from the weights of a float run of `depth` layers with the seed `source_seed`.
ComparedRun quantized(const std::string& label, const std::string& source_seed,
                      const std::string& depth, int seed = 1) {
  auto own = keys(seed, "\"bwn\"");
  own["train.init_from"] = "\"/runs/float/" + source_seed + "\"";
  ComparedRun out = run(label, 0.8, own);
  out.source = SourceRun{"float", source_seed, {{"model.depth", depth}, {"data.name", "\"x\""}}};
  return out;
}

TEST(Compare, RunsFromWeightsThatDifferInTheirSeedAreOneConfiguration) {
  const Comparison c = compare({quantized("a", "1", "20"), quantized("b", "2", "20"),
                                quantized("c", "3", "20"), run("d", 0.8, keys(1, "\"bwn\"")),
                                quantized("e", "1", "32"), quantized("f", "1", "20", 2)});
  EXPECT_THAT(c.configuration_of, ElementsAre(0, 0, 0, 1, 2, 0));
  EXPECT_EQ(c.configurations[0].metrics.at("test_accuracy").count, 4U);
  ASSERT_EQ(c.differences.size(), 2U);
  EXPECT_EQ(c.differences[0].key, "train.init_from");
  EXPECT_THAT(c.differences[0].values,
              ElementsAre("runs float (seeds 1, 2, 3)", std::nullopt, "run float (seed 1)"));
  EXPECT_EQ(c.differences[1].key, "train.init_from: model.depth");
  EXPECT_THAT(c.differences[1].values, ElementsAre("20", std::nullopt, "32"));
  // Two runs each of seed 1 and 2, but from different weights: no run is a repetition.
  EXPECT_THAT(c.notes, ElementsAre("configuration 1: its runs start from runs that differ in their "
                                   "seed only: runs float (seeds 1, 2, 3)"));
  const json runs = render_json(document_of(c)).at("runs");
  EXPECT_EQ(runs.at(1).at("seed"), "1");
  EXPECT_EQ(runs.at(1).at("source_seed"), "2");
  EXPECT_EQ(runs.at(3).at("source_seed"), nullptr);
}

TEST(Compare, ARepeatFromTheSameWeightsIsNoted) {
  const Comparison c = compare({quantized("a", "2", "20"), quantized("b", "2", "20")});
  EXPECT_THAT(c.notes, ElementsAre("configuration 1: seed 1 from 2 stands there 2 times (a, b): "
                                   "repeats make the deviation too small; give one of them"));
}

TEST(Compare, ASourceThatIsGoneCountsByItsPath) {
  ComparedRun gone = quantized("a", "1", "20");
  gone.source.reset();
  gone.why_no_source = "/runs/float/1 is not there any more";
  EXPECT_THAT(compare({gone}).notes, IsEmpty()) << "there is nothing that it could belong to";
  const Comparison c = compare({gone, quantized("b", "2", "20")});
  EXPECT_THAT(c.configuration_of, ElementsAre(0, 1));
  ASSERT_EQ(c.differences.size(), 1U) << "what is unknown of a source is no difference";
  EXPECT_THAT(c.differences[0].values, ElementsAre("\"/runs/float/1\"", "run float (seed 2)"));
  EXPECT_THAT(c.notes, ElementsAre("a counts by the path of train.init_from, not by what was "
                                   "trained there: /runs/float/1 is not there any more"));
}

TEST(Compare, OnlyFinishedRunsEnterTheMean) {
  ComparedRun early = run("early", 0.1, keys(4));
  early.status = "running";  // an accuracy that is not the last one
  const Comparison c = compare({run("a", 0.9, keys(1)), unfinished("b", "diverged", 2),
                                unfinished("c", "interrupted", 3), early});
  ASSERT_EQ(c.configurations.size(), 1U);
  EXPECT_EQ(c.configurations[0].metrics.at("test_accuracy").count, 1U);
  EXPECT_THAT(c.configurations[0].metrics.at("test_accuracy").mean, Optional(0.9));
  EXPECT_THAT(c.notes, ElementsAre("b is diverged: it has no test accuracy and is in no mean",
                                   "c is interrupted: it has no test accuracy and is in no mean",
                                   "early is running: it has no test accuracy and is in no mean"));
  EXPECT_FALSE(
      compare({unfinished("b", "diverged", 2)}).configurations[0].metrics.at("test_accuracy").mean);
}

// Older builds marked a run as finished whatever its loss.
TEST(Compare, AFinishedRunWithoutAFiniteLossIsInNoMean) {
  const auto with_loss = [](ComparedRun one, double loss) {
    one.result.test_loss = loss;
    return one;
  };
  const Comparison c = compare({with_loss(run("a", 0.9, keys(1)), 0.4),
                                with_loss(run("b", 0.1, keys(2)), std::nan("")),
                                with_loss(run("c", 0.1, keys(3)), HUGE_VAL)});
  EXPECT_EQ(c.configurations[0].metrics.at("test_accuracy").count, 1U);
  EXPECT_THAT(c.configurations[0].metrics.at("test_accuracy").mean, Optional(0.9));
  for (const char* label : {"b", "c"}) {
    EXPECT_THAT(c.notes, Contains(std::string(label) +
                                  " is called finished, but its test loss is not finite: its "
                                  "accuracy says nothing and is in no mean"));
  }
}

TEST(Compare, ARepeatedSeedIsNoted) {
  const Comparison c = compare({run("a", 0.9, keys(1)), run("b", 0.9, keys(1)),
                                run("c", 0.92, keys(2)), unfinished("d", "interrupted", 2)});
  ASSERT_EQ(c.notes.size(), 2U) << "an interrupted run is in no mean: it repeats nothing";
  EXPECT_EQ(c.notes[1],
            "configuration 1: seed 1 stands there 2 times (a, b): repeats make the deviation too "
            "small; give one of them");
}

TEST(Compare, WhatDoesNotCompareIsNoted) {
  auto two = keys(1);
  two["data.classes"] = "[3, 5]";
  ComparedRun chosen = run("c", 0.9, keys(1));
  chosen.result.validation_is_test_images = true;
  chosen.result.data_remark = "the pixels differ";
  const Comparison c = compare({run("a", 0.9, keys(2)), run("b", 0.99, two), chosen});
  EXPECT_THAT(c.notes,
              ElementsAre("accuracies on different test images do not compare: \"cifar10\" "
                          "(configuration 1); \"cifar10\", classes [3, 5] (configuration 2)",
                          "c: the pixels differ; the best epoch was chosen on images of the test "
                          "set"));
}

TEST(Compare, ASizeThatDependsOnTheRunIsNoted) {
  ComparedRun other = run("b", 0.9, keys(2));
  other.result.weight_bytes = 1;
  const Comparison c = compare({run("a", 0.9, keys(1)), other});
  ASSERT_EQ(c.notes.size(), 1U);
  EXPECT_THAT(c.notes[0], HasSubstr("configuration 1: weight_bytes differs between its runs"));
  EXPECT_EQ(render_json(document_of(c)).at("configurations").at(0).at("weight_bytes"), nullptr);
}

TEST(Compare, AScoreThatDoesNotQualifyIsGivenAndNoted) {
  const Comparison c = compare({scored(run("a", 0.90, keys(1))), scored(run("b", 0.92, keys(2))),
                                scored(run("c", 0.8, keys(1, "\"bwn\"")))});
  EXPECT_THAT(c.notes,
              ElementsAre("no run qualifies under micronet: the rule is for cifar100, the network "
                          "for cifar10",
                          "c does not qualify under course: accuracy is below the threshold"));
  EXPECT_THAT(c.configurations[0].metrics.at("course_score").common(), Optional(0.64));
  EXPECT_THAT(c.configurations[1].metrics.at("course_score").common(), Optional(0.025));
  const std::string text = render_text(document_of(c));
  EXPECT_THAT(text, HasSubstr("40,813,184     0.32*    0.64\n"));
  EXPECT_THAT(text, HasSubstr("40,813,184   0.0125*  0.025*\n*: does not qualify"));
  // A configuration has no single accuracy that could qualify.
  EXPECT_THAT(text, HasSubstr("40,813,184    0.0125   0.025\n"));
  const json runs = render_json(document_of(c)).at("runs");
  EXPECT_EQ(runs.at(2).at("course_score"), 0.025);
  EXPECT_EQ(runs.at(2).at("course_qualifies"), false);
  EXPECT_EQ(runs.at(2).at("course_why_not"), "accuracy is below the threshold");
  EXPECT_EQ(runs.at(0).at("course_qualifies"), true);
  EXPECT_EQ(runs.at(0).at("course_why_not"), nullptr);
  EXPECT_EQ(render_json(document_of(c)).at("configurations").at(0).at("micronet_score"), 0.32);
}

TEST(Compare, ScoresThatVaryWithTheZerosHaveAMeanAndADeviation) {
  std::vector<ComparedRun> runs = {scored(run("a", 0.95, keys(1))), scored(run("b", 0.95, keys(2))),
                                   scored(unfinished("c", "interrupted", 3))};
  runs[0].scores["course"].score = 0.125;
  runs[1].scores["course"].score = 0.375;
  const Comparison c = compare(runs);
  EXPECT_THAT(c.notes, Not(Contains(HasSubstr("course_score differs"))));
  const json one = render_json(document_of(c)).at("configurations").at(0);
  EXPECT_EQ(one.at("course_score"), 0.25) << "weights in the middle of a training are in no mean";
  EXPECT_DOUBLE_EQ(one.at("course_score_deviation").get<double>(), std::sqrt(0.03125));
  EXPECT_EQ(one.at("micronet_score_deviation"), 0);
  EXPECT_THAT(render_text(document_of(c)), HasSubstr("      0.32  0.25 +- 0.1768\n"));
}

TEST(Compare, WhatAReaderMustKnowOfAScoreIsSaidInItsWords) {
  ComparedRun a = scored(run("a", 0.95, keys(1))), b = scored(run("b", 0.95, keys(2)));
  a.scores["micronet"].note = b.scores["micronet"].note = "it takes the freebie";
  b.why_dense = "the run keeps no checkpoint";
  ComparedRun c = run("c", 0.95, keys(3));
  c.why_dense = "unread";
  EXPECT_THAT(compare({a, b, c}).notes,
              AllOf(Contains("a, b under micronet: it takes the freebie"),
                    Contains("b: zeros among the weights count like other values: the run keeps no "
                             "checkpoint"),
                    Not(Contains(HasSubstr("unread")))))
      << "c has no scores";
}

TEST(Compare, ARunWithoutAnAccuracyIsScoredWithoutAVerdict) {
  const Comparison c = compare({scored(unfinished("a", "interrupted", 1))});
  EXPECT_EQ(c.notes.size(), 2U) << "it is interrupted; it is not for micronet's data set";
  const json one = render_json(document_of(c)).at("runs").at(0);
  EXPECT_EQ(one.at("course_score"), 0.64);
  EXPECT_EQ(one.at("course_qualifies"), nullptr);
  EXPECT_EQ(one.at("micronet_qualifies"), false) << "no accuracy would change that";
}

TEST(Compare, ARunWithoutScoresSaysWhy) {
  ComparedRun strange = run("a", 0.9, keys(1));
  strange.why_no_scores = "unknown architecture `resnet`";
  const Comparison c = compare({strange, scored(run("b", 0.92, keys(2)))});
  EXPECT_THAT(c.notes, Contains("a has no scores: unknown architecture `resnet`"));
  EXPECT_THAT(c.notes, Contains("b does not qualify under micronet: the rule is for cifar100, the "
                                "network for cifar10"));
  EXPECT_THAT(render_text(document_of(c)), HasSubstr("40,813,184         -       -\n"));
  const json one = render_json(document_of(c)).at("runs").at(0);
  for (const char* key : {"micronet_score", "course_score", "course_qualifies"}) {
    EXPECT_EQ(one.at(key), nullptr) << key;
  }
  EXPECT_EQ(render_json(document_of(c)).at("configurations").at(0).at("course_score"), 0.64);
}

TEST(Compare, Text) {
  const Comparison c =
      compare({scored(run("r/a", 0.90, keys(1))), scored(run("r/b", 0.92, keys(2))),
               scored(run("r/c", 0.8, keys(1, "\"bwn\""))), unfinished("r/d", "diverged", 3)});
  EXPECT_EQ(
      render_text(document_of(c)),
      "run  configuration  seed  status    test accuracy  bits a weight  bits an input  "
      "weight bytes        MACs  micronet  course\n"
      "---  -------------  ----  --------  -------------  -------------  -------------  "
      "------------  ----------  --------  ------\n"
      "r/a              1     1  finished        90.00 %             32             32     "
      "1,078,888  40,813,184     0.32*    0.64\n"
      "r/b              1     2  finished        92.00 %             32             32     "
      "1,078,888  40,813,184     0.32*    0.64\n"
      "r/c              2     1  finished        80.00 %           1.25             32        "
      "42,000  40,813,184   0.0125*  0.025*\n"
      "r/d              1     3  diverged              -              -              -        "
      "     -           -         -       -\n"
      "*: does not qualify, a note says why\n"
      "\n"
      "configuration  seeds    runs  mean test accuracy  deviation  bits a weight  bits an "
      "input  weight bytes        MACs  micronet  course\n"
      "-------------  -------  ----  ------------------  ---------  -------------  "
      "-------------  ------------  ----------  --------  ------\n"
      "            1  1, 2, 3     2             91.00 %     1.41 %             32             "
      "32     1,078,888  40,813,184      0.32    0.64\n"
      "            2  1           1             80.00 %          -           1.25             "
      "32        42,000  40,813,184    0.0125   0.025\n"
      "deviation: of the sample, with the divisor n - 1\n"
      "\n"
      "key               configuration 1  configuration 2\n"
      "----------------  ---------------  ---------------\n"
      "quantizer.0.name  \"none\"           \"bwn\"\n"
      "\n"
      "note: r/d is diverged: it has no test accuracy and is in no mean\n"
      "note: r/a, r/b, r/c do not qualify under micronet: the rule is for cifar100, the "
      "network for cifar10\n"
      "note: r/c does not qualify under course: accuracy is below the threshold\n");
}

TEST(Compare, LabelsOfASweepAndBitsOfInputsTellRowsApart) {
  ComparedRun a = run("s/1", 0.9, keys(1, "\"bwn\"")), b = run("s/2", 0.8, keys(1, "\"xnornet\""));
  a.result.label = "weights";
  b.result.label = "weights and\ninputs";
  b.result.bits_per_weight = 1.25;
  b.result.bits_per_input = 2.5;
  const Comparison c = compare({a, b, run("other", 0.9, keys(1))});
  const std::string text = render_text(document_of(c));
  EXPECT_THAT(text, ::testing::StartsWith("run    label               configuration  seed  "));
  EXPECT_THAT(text, HasSubstr("\ns/1    weights                         1     1  finished        "
                              "90.00 %           1.25             32  "));
  EXPECT_THAT(text, HasSubstr("\ns/2    weights and?inputs              2     1  finished        "
                              "80.00 %           1.25            2.5  "));
  EXPECT_THAT(text, HasSubstr("\nother  -                               3     1  "));
  const json runs = render_json(document_of(c)).at("runs");
  EXPECT_EQ(runs.at(0).at("sweep_label"), "weights");
  EXPECT_EQ(runs.at(1).at("bits_per_input"), 2.5);
  EXPECT_EQ(runs.at(2).at("sweep_label"), nullptr);
}

TEST(Compare, AFailedRunSaysWhy) {
  ComparedRun failed = unfinished("a", "failed", 1);
  failed.result = {.status = "failed", .error = "the disk is full\nhelp: make room"};
  EXPECT_THAT(
      compare({failed}).notes,
      ElementsAre("a failed (the disk is full): it has no test accuracy and is in no mean"));
}

TEST(Compare, TextOfOneRunIsOneTable) {
  const std::string text = render_text(document_of(compare({run("a", 0.9, keys(1))})));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(Compare, TextCutsLongValuesAndSteersNoTerminal) {
  auto named = keys(1);
  named["quantizer.0.layers"] = "[" + std::string(60, 'x') + "]";
  ComparedRun strange = run("a\033[2J", 0.9, named);
  strange.result.data_remark = "\033[31mred";
  const Comparison c = compare({strange, run("b", 0.9, keys(1))});
  const std::string text = render_text(document_of(c));
  EXPECT_THAT(text, HasSubstr("[" + std::string(36, 'x') + "...  "));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_EQ(render_json(document_of(c))
                .at("differences")
                .at(0)
                .at("values")
                .at(0)
                .get<std::string>()
                .size(),
            62U);
}

TEST(Compare, Json) {
  const json j = render_json(
      document_of(compare({run("a", 0.90, keys(1)), run("b", 0.92, keys(2)),
                           run("c", 0.8, keys(1, "\"bwn\"")), unfinished("d", "interrupted", 3)})));
  ASSERT_EQ(j.at("runs").size(), 4U);
  EXPECT_EQ(j.at("runs").at(2).at("label"), "c");
  EXPECT_EQ(j.at("runs").at(2).at("run_dir"), "/runs/c");
  EXPECT_EQ(j.at("runs").at(2).at("configuration"), 2);
  EXPECT_EQ(j.at("runs").at(2).at("seed"), "1");
  EXPECT_EQ(j.at("runs").at(2).at("weight_bytes"), 42000);
  EXPECT_EQ(j.at("runs").at(3).at("status"), "interrupted");
  EXPECT_EQ(j.at("runs").at(3).at("test_accuracy"), nullptr);
  const json& first = j.at("configurations").at(0);
  EXPECT_EQ(first.at("configuration"), 1);
  EXPECT_EQ(first.at("runs"), json({"a", "b", "d"}));
  EXPECT_EQ(first.at("seeds"), json({"1", "2", "3"}));
  EXPECT_EQ(first.at("test_accuracy").at("count"), 2);
  EXPECT_NEAR(first.at("test_accuracy").at("mean").get<double>(), 0.91, 1e-15);
  EXPECT_TRUE(first.at("macs").is_number_integer());
  EXPECT_EQ(first.at("macs"), 40813184);
  EXPECT_EQ(j.at("configurations").at(1).at("test_accuracy").at("deviation"), nullptr);
  EXPECT_EQ(j.at("differences"),
            json::parse(R"([{"key": "quantizer.0.name", "values": ["\"none\"", "\"bwn\""]}])"));
  EXPECT_EQ(j.at("notes").size(), 1U);
}

}  // namespace
}  // namespace qhost::report
