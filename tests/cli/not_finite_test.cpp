// Batches that are too small for a batch norm, and losses that are not finite, give no result.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

/// Ends in batch norms over features, for which each image is one value. 135 training images.
std::string features_experiment() {
  std::string text = small_experiment();
  const auto replace = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace("\"resnet\"\ndepth = 8", "\"vgg\"\nwidth = 8");
  replace("\"bwn\"", "\"none\"");
  return text;
}

class NotFinite : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    workshop_.write("v.toml", features_experiment());
  }
  /// stderr of a command that must be refused and leave no files.
  std::string refused_at_once(const Words& words) {
    const std::string error = refused(words, 2);
    EXPECT_FALSE(fs::exists(workshop_ / "runs")) << "a run directory was left";
    return error;
  }
  static Words plus(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// A step that ruins the weights; the loss of this step itself is still finite.
  const Words wild_ = {"run", "e.toml", "quantizer.name=none", "optimizer.learning_rate=1e30",
                       "train.max_steps=1"};
};

TEST_F(NotFinite, ABatchOfOneImageIsRefusedBeforeTraining) {
  // 135 = 2 x 67 + 1
  const Words run = {"run", "v.toml", "train.batch_size=67"};
  const std::string error = refused_at_once(run);
  EXPECT_THAT(error,
              AllOf(StartsWith("command line:1:18: error: `train.batch_size` = 67: the last batch "
                               "of an epoch has 1 image (135 = 2 x 67 + 1); batch norm `"),
                    HasSubstr(" has a single value per channel there, which has no variance "
                              "[config.batch-size]\n"),
                    HasSubstr("\n  help: set train.drop_last = true, or train.batch_size = 66\n")));
  EXPECT_THAT(refused_at_once(plus(run, {"--dry-run"})), HasSubstr(error));
  EXPECT_THAT(refused_at_once(plus(run, {"--run-dir", "mine"})), HasSubstr("[config.batch-size]"));
  EXPECT_FALSE(fs::exists(workshop_ / "mine"));
  EXPECT_THAT(refused_at_once({"run", "v.toml", "train.batch_size=1"}),
              HasSubstr("`train.batch_size` = 1: each batch has 1 image; "));
  // The remedies in the help text, and a run that does not reach that batch.
  finished({"run", "v.toml", "train.batch_size=66", "name=v1", "--json"});
  finished({"run", "v.toml", "train.batch_size=67", "train.drop_last=true", "name=v2", "--json"});
  finished({"run", "v.toml", "train.batch_size=67", "train.max_steps=2", "name=v3", "--json"});
}

// For these images, the last stage of a network for larger images has a single position.
TEST_F(NotFinite, AnImageOfOnePositionIsRefusedToo) {
  EXPECT_THAT(refused_at_once({"run", "e.toml", "model.family=imagenet", "model.depth=18",
                               "train.batch_size=1"}),
              AllOf(HasSubstr("batch norm `stage"), HasSubstr("[config.batch-size]")));
}

TEST_F(NotFinite, CalibrationAndRecalibrationAreRefusedLikewise) {
  const Words observers = {"run", "v.toml", "quantizer.name=ptq_static", "train.epochs=0"};
  EXPECT_THAT(refused_at_once(plus(observers, {"calibration.batch_size=1"})),
              HasSubstr("`calibration.batch_size` = 1: each batch has 1 image; the batch norms of "
                        "an untrained network take their statistics from it"));
  EXPECT_THAT(refused_at_once(plus(observers, {"calibration.batch_size=67"})),
              HasSubstr("the last batch has 1 image (135 = 2 x 67 + 1)"));
  EXPECT_THAT(refused_at_once({"run", "v.toml", "train.bn_recalibrate=3", "train.batch_size=1",
                               "train.epochs=0"}),
              HasSubstr("`train.bn_recalibrate` = 3: its batches have 1 image"));
  // A trained network has running statistics: a single image gives only a warning.
  finished({"run", "v.toml", "name=trained", "train.max_steps=4", "--json"});
  const ProcessResult one = ok({"quantize", "runs/trained/latest", "ptq_static",
                                "calibration.batches=1", "calibration.batch_size=1"});
  EXPECT_THAT(one.err, HasSubstr("ranges and corrections come from 1 image"));
}

TEST_F(NotFinite, ATestLossThatIsNotFiniteIsNoResult) {
  const ProcessResult run = workshop_.run(plus(wild_, {"--json"}));
  EXPECT_EQ(run.code, 5) << ::testing::PrintToString(run);
  EXPECT_EQ(last_json_line(run.out).at("status"), "diverged");
  EXPECT_THAT(run.err, AllOf(HasSubstr("warning: the test loss of epoch 1 is not finite"),
                             HasSubstr("error: the test loss is "),
                             HasSubstr(", so that its accuracy says nothing\n"),
                             HasSubstr("\nhelp: lower optimizer.learning_rate, ")));
  const json result = result_of(workshop_ / "runs/e/latest");
  EXPECT_EQ(result.at("status"), "diverged");
  EXPECT_FALSE(result.contains("test_accuracy"));

  const std::string again = refused({"eval", "runs/e/latest", "--json"}, 5);
  EXPECT_THAT(again, HasSubstr("error: the test loss is "));
  EXPECT_THAT(refused({"quantize", "runs/e/latest", "bwn"}, 5),
              HasSubstr("error: the float network's test loss is "));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/e_bwn"));
}

TEST_F(NotFinite, NorIsOneWhoseValidationLossIsNotFinite) {
  const ProcessResult run = workshop_.run(plus(wild_, {"data.validation=30"}));
  EXPECT_EQ(run.code, 5);
  EXPECT_THAT(run.err, HasSubstr("error: the validation loss is "));
  const fs::path directory = workshop_ / "runs/e/latest";
  EXPECT_EQ(result_of(directory).at("status"), "diverged");
  EXPECT_FALSE(fs::exists(directory / "checkpoints/best"));
}

TEST_F(NotFinite, AnOlderResultOfThatKindIsInNoMean) {
  for (const char* seed : {"1", "2", "3"}) {
    finished({"run", "e.toml", "train.max_steps=1", std::string("train.seed=") + seed, "--run-dir",
              std::string("runs/r") + seed, "--json"});
  }
  const fs::path file = workshop_ / "runs/r3/result.json";
  json old = json::parse(slurp(file));
  old["test_loss"] = nullptr;
  workshop_.write("runs/r3/result.json", old.dump());

  const ProcessResult compared = ok({"compare", "runs/r1", "runs/r2", "runs/r3", "--json"});
  const json comparison = json::parse(compared.out);
  EXPECT_EQ(comparison.at("configurations").at(0).at("test_accuracy").at("count"), 2);
  EXPECT_THAT(comparison.at("notes").dump(),
              HasSubstr("runs/r3 is called finished, but its test loss is not finite: its accuracy "
                        "says nothing and is in no mean"));
  EXPECT_THAT(
      refused({"run", "e.toml", "train.max_steps=1", "train.seed=3", "--resume", "runs/r3"}, 5),
      HasSubstr("runs/r3 is called finished, but its test loss is not finite\nhelp: `qhost "
                "eval "));
}

TEST_F(NotFinite, ADivergedSeedIsInNoMeanOfItsSweep) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\nseeds = [1, 2]\npoints = [{label = \"wild\", "
                                "quantizer.name = \"none\", optimizer.learning_rate = 1e30, "
                                "train.max_steps = 1}, {label = \"tame\", train.max_steps = 1}]\n");
  const ProcessResult result = workshop_.run({"run", "s.toml"});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.out, ContainsRegex("\ntame[^\n]*: mean of 2 "));
  EXPECT_THAT(result.out, Not(ContainsRegex("wild[^\n]*: mean of ")));
}

TEST_F(NotFinite, ALossOfTheFirstStepIsNotBlamedOnTheLearningRate) {
  const ProcessResult result = workshop_.run(
      {"run", "e.toml", "quantizer.name=none", "augment.mean=[0]", "augment.std=[1e-40]"});
  EXPECT_EQ(result.code, 5) << ::testing::PrintToString(result);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("in epoch 1, step 1; "),
                    HasSubstr("\nhelp: no step was taken yet, so it is not the learning "
                              "rate: ")));
}

}  // namespace
}  // namespace qhost::tests
