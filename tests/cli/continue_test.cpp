// `qhost run FILE --continue RUN`: a new run that continues from another run's checkpoint.
#include <gmock/gmock.h>

#include "cli/process.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

class Continue : public ::testing::Test {
 protected:
  void SetUp() override { workshop_.write("e.toml", small_experiment()); }

  static Words with(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProcessResult run(const Words& more) { return workshop_.run(with({"run", "e.toml"}, more)); }
  std::string ok(const Words& more) {
    const ProcessResult result = run(more);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return result.err;
  }
  std::string refused(const Words& more) {
    const ProcessResult result = run(more);
    EXPECT_EQ(result.code, 2) << ::testing::PrintToString(result);
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(fs::exists(workshop_ / "child"));
    return result.err;
  }
  /// Compares the results of two runs, except for their place and origin.
  void expect_same_run(const std::string& one, const std::string& other) {
    const auto files = checkpoint_files(workshop_ / one);
    EXPECT_TRUE(files == checkpoint_files(workshop_ / other)) << names_of(files);
    EXPECT_EQ(metrics_of(workshop_ / one), metrics_of(workshop_ / other));
    for (const char* key : {"test_accuracy", "test_loss", "steps", "epochs", "selected_by"}) {
      EXPECT_EQ(result_of(workshop_ / one).at(key), result_of(workshop_ / other).at(key)) << key;
    }
  }

  Workshop workshop_;
};

const Words child_of_r = {"--continue", "r", "--run-dir", "child"};

TEST_F(Continue, MoreEpochsAreThoseOfAnUninterruptedRun) {
  const std::vector<Words> settings = {
      {"augment.flip=true", "augment.crop_padding=1"},
      {"optimizer.name=adam", "optimizer.learning_rate=0.01", "data.validation=40"},
      {"schedule.name=multi_step", "schedule.milestones=[1, 3]"},
      {"schedule.name=step", "schedule.every=1", "data.validation=40",
       "quantizer.name=binaryconnect", "quantizer.mode=stochastic"},
  };
  for (const Words& setting : settings) {
    SCOPED_TRACE(::testing::PrintToString(setting));
    for (const char* old : {"r", "child", "whole"}) fs::remove_all(workshop_ / old);
    ok(with({"--run-dir", "whole", "train.epochs=4"}, setting));
    ok(with({"--run-dir", "r"}, setting));
    const std::string talk = ok(with(with(child_of_r, {"train.epochs=4"}), setting));
    EXPECT_THAT(talk, HasSubstr("going on from " + (workshop_ / "r").string() +
                                " at step 10 (epoch 2): exact, as an uninterrupted run"));
    expect_same_run("child", "whole");
    const json parent = result_of(workshop_ / "child").at("parent");
    EXPECT_EQ(parent.at("run"), (workshop_ / "r").string());
    EXPECT_EQ(parent.at("step"), 10);
    EXPECT_EQ(parent.at("exact"), true);
    EXPECT_EQ(parent.at("changed"), json({{"train.epochs", {{"parent", "2"}, {"child", "4"}}}}));
  }
}

TEST_F(Continue, AStoppedChildGoesOnAndIsFoundAgain) {
  ok({"--run-dir", "whole", "train.epochs=5"});
  ok({});
  const Words command = {"--continue", "runs/e/latest", "train.epochs=5", "--resume", "auto"};
  const fs::path parent = fs::canonical(workshop_ / "runs/e/latest");
  // `latest` names first the parent, then the child: the command means the same both times.
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:3", with({"run", "e.toml"}, command)));
  const fs::path child = fs::canonical(workshop_ / "runs/e/latest");
  EXPECT_NE(child, parent);
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:7", with({"run", "e.toml"}, command)));
  EXPECT_THAT(ok(command), HasSubstr("resuming " + child.string() + " at step 15 of 25"));
  EXPECT_THAT(ok(command),
              HasSubstr("nothing to do: this configuration is finished in " + child.string()));
  expect_same_run("runs/e/latest", "whole");
  EXPECT_EQ(fs::canonical(workshop_ / "runs/e/latest"), child);

  // The same configuration without --continue is not the child, and the reverse.
  EXPECT_THAT(ok({"train.epochs=5", "--resume", "auto"}), HasSubstr("\n  SHA-256 of parent: "));
  // A child that is named itself continues without its parent.
  fs::remove_all(parent);
  fs::remove(child / "result.json");
  EXPECT_THAT(ok({"train.epochs=5", "--resume", child.string()}), HasSubstr(" at step 25 of 25"));
}

TEST_F(Continue, AChildThatWasKilledBeforeItsFirstCheckpointBeginsAgain) {
  ok({"--run-dir", "whole", "train.epochs=3"});
  ok({"--run-dir", "r"});
  const Words command = with(child_of_r, {"train.epochs=3"});
  ASSERT_TRUE(workshop_.run_dies_at("checkpoint.before-rename", with({"run", "e.toml"}, command)));
  EXPECT_TRUE(fs::exists(workshop_ / "child/parent.json"));
  ok(command);
  expect_same_run("child", "whole");
}

TEST_F(Continue, WhatIsNotExactSaysWhy) {
  ok({"--run-dir", "r", "schedule.name=cosine"});
  const Words longer = with(child_of_r, {"schedule.name=cosine", "train.epochs=4"});
  EXPECT_THAT(ok(with(longer, {"--dry-run"})),
              HasSubstr("would be:\n  step 2 had the learning rate 0.09755282581475769"));
  EXPECT_FALSE(fs::exists(workshop_ / "child"));
  EXPECT_THAT(ok(longer),
              AllOf(HasSubstr("not what an uninterrupted run of this configuration would be:\n"
                              "  step 2 had the learning rate 0.09755282581475769, the schedule "
                              "`cosine` of 4 epochs gives it 0.0993844170297569"),
                    Not(HasSubstr(": exact"))));
  EXPECT_EQ(result_of(workshop_ / "child").at("parent").at("exact"), false);
  // A run that continues from an inexact run is not exact either.
  EXPECT_THAT(ok({"--continue", "child", "--run-dir", "grandchild", "schedule.name=cosine",
                  "train.epochs=4", "--checkpoint", "15"}),
              HasSubstr("would be:\n  the run itself went on from "));
  fs::remove_all(workshop_ / "child");
  EXPECT_THAT(ok(with(child_of_r, {"schedule.name=cosine", "train.epochs=4", "augment.flip=true",
                                   "train.label_smoothing=0.1"})),
              AllOf(HasSubstr("\n  augment.flip was false, true now"),
                    HasSubstr("\n  train.label_smoothing was 0.0, 0.1 now")));
}

TEST_F(Continue, AnotherLearningRateActsFromThereOn) {
  ok({"--run-dir", "r"});
  ok(with(child_of_r, {"train.epochs=3", "optimizer.learning_rate=1e-30"}));
  // With a learning rate of 0 the weights stay: the last epoch evaluates like the second.
  const std::vector<json> lines = metrics_of(workshop_ / "child");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[4].at("learning_rate"), 1e-30);
  EXPECT_EQ(lines[1], metrics_of(workshop_ / "r")[1]) << "the parent's lines come first";
}

TEST_F(Continue, ABatchSizeChangesAtAnEpochsEdge) {
  ok({"--run-dir", "r"});
  const Words twice = {"train.epochs=3", "train.batch_size=16"};
  ok(with(child_of_r, twice));
  // 135 images: first 5 steps per epoch, now 9; epoch 3 ends at step 27.
  EXPECT_EQ(result_of(workshop_ / "child").at("steps"), 27);
  EXPECT_EQ(metrics_of(workshop_ / "child").back().at("epoch"), 3);
  EXPECT_EQ(result_of(workshop_ / "child").at("parent").at("exact"), false);

  fs::remove_all(workshop_ / "child");
  fs::remove_all(workshop_ / "r");
  ok({"--run-dir", "r", "train.max_steps=7"});
  EXPECT_THAT(refused(with(child_of_r, twice)),
              HasSubstr("/r: the batch size can change at an epoch's edge; step 7 lies "
                        "within epoch 2 of 5 steps\nhelp: keep train.batch_size = 32, or "));
  ok(with(child_of_r, {"train.epochs=3", "train.batch_size=16", "--checkpoint", "5"}));
  EXPECT_EQ(result_of(workshop_ / "child").at("parent").at("epoch"), 1);
}

TEST_F(Continue, FromTheBestOrAnEarlierCheckpoint) {
  const Words base = {"data.validation=40", "train.keep_checkpoints=5"};
  ok(with({"--run-dir", "whole", "train.epochs=4"}, base));
  ok(with({"--run-dir", "r", "train.epochs=3"}, base));
  ok(with(with(child_of_r, {"train.epochs=4", "--checkpoint", "5"}), base));
  const json parent = result_of(workshop_ / "child").at("parent");
  EXPECT_EQ(parent.at("step"), 5);
  EXPECT_EQ(parent.at("which"), "5");
  EXPECT_EQ(metrics_of(workshop_ / "child"), metrics_of(workshop_ / "whole"));
  fs::remove_all(workshop_ / "child");

  const auto best = result_of(workshop_ / "r").at("best_epoch").get<int>();
  ok(with(with(child_of_r, {"train.epochs=4", "--checkpoint", "best"}), base));
  EXPECT_EQ(result_of(workshop_ / "child").at("parent").at("epoch"), best);
  EXPECT_EQ(metrics_of(workshop_ / "child"), metrics_of(workshop_ / "whole"));
  fs::remove_all(workshop_ / "child");
  EXPECT_THAT(refused(with(with(child_of_r, {"train.epochs=5", "--checkpoint", "11"}), base)),
              HasSubstr("has no checkpoint `11`"));
}

TEST_F(Continue, WhatCannotChangeIsNamed) {
  ok({"--run-dir", "r"});
  const std::string text =
      refused(with(child_of_r, {"train.epochs=4", "model.depth=14", "train.seed=2",
                                "quantizer.name=xnornet", "optimizer.name=adam"}));
  EXPECT_THAT(text, AllOf(StartsWith("error: --continue " + (workshop_ / "r").string() +
                                     " cannot change:\n"),
                          HasSubstr("\n  model.depth: 8 in the run, 14 now\n"),
                          HasSubstr("\n  optimizer.name: \"sgd\" in the run, \"adam\" now\n"),
                          HasSubstr("\n  quantizer.0.name: \"bwn\" in the run, \"xnornet\" now\n"),
                          HasSubstr("\n  train.seed: 1 in the run, 2 now\n"),
                          HasSubstr("\nhelp: --continue takes other epochs, ")));
  EXPECT_THAT(refused(child_of_r),
              HasSubstr(": train.epochs = 2, and the run has done 2 epochs\nhelp: the epochs of "
                        "both runs together are meant: set train.epochs above 2"));
  EXPECT_THAT(refused(with(child_of_r, {"train.epochs=4", "train.max_steps=9"})),
              HasSubstr(": train.max_steps = 9, and the run has done 10 steps\n"));
}

TEST_F(Continue, WhatMakesNoSenseIsRefused) {
  ok({"--run-dir", "r"});
  EXPECT_THAT(refused({"train.epochs=4", "--continue", "r", "--resume", "r"}),
              HasSubstr("--continue r begins a new run, --resume r goes on with one\nhelp: "));
  EXPECT_THAT(refused({"train.epochs=4", "--checkpoint", "best"}),
              HasSubstr("--checkpoint best says from where --continue RUN goes on, and there is "
                        "none\nhelp: "));
  EXPECT_THAT(refused(with({"--continue", "nothing"}, {"train.epochs=4"})),
              HasSubstr("there is no run at nothing"));
  workshop_.write("s.toml",
                  small_experiment() + "[sweep]\npoints = [{train.seed = 1}, {train.seed = 2}]\n");
  const ProcessResult sweep = workshop_.run({"run", "s.toml", "--continue", "r"});
  EXPECT_EQ(sweep.code, 2);
  EXPECT_THAT(sweep.err, HasSubstr("--continue r names one run, but s.toml is a sweep\nhelp: "));

  Workshop::Child holder =
      workshop_.start({"run", "e.toml", "--run-dir", "busy", "train.epochs=100000",
                       "train.evaluate_every=100000", "train.checkpoint_every_steps=1"});
  ASSERT_TRUE(holder.wait_until([&] { return fs::exists(workshop_ / "busy/metrics.jsonl"); }));
  EXPECT_THAT(refused({"--continue", "busy", "--run-dir", "child", "train.epochs=100001",
                       "train.evaluate_every=100000"}),
              HasSubstr("--continue busy: process " + std::to_string(holder.pid()) + " on host "));
}

TEST_F(Continue, APointOfASweepGoesOnWithItsOwnFile) {
  workshop_.write("s.toml",
                  small_experiment() + "[sweep]\npoints = [{train.seed = 1}, {train.seed = 2}]\n");
  EXPECT_EQ(workshop_.run({"run", "s.toml"}).code, 0);
  const ProcessResult more = workshop_.run(
      {"run", "runs/s/latest/resolved.toml", "--continue", "runs/s/latest", "train.epochs=3"});
  EXPECT_EQ(more.code, 0) << ::testing::PrintToString(more);
  EXPECT_EQ(result_of(workshop_ / "runs/s/latest").at("epochs"), 3);
}

}  // namespace
}  // namespace qhost::tests
