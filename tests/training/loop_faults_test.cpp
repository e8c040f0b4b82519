// The training loop where something goes wrong: files that cannot be written, evaluations that fail,
// signals.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include "jobs/assemble.h"
#include "loop.h"
#include "training/failure.h"
#include "training/interrupt.h"

namespace qhost::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// While it exists, files cannot exceed this size: a full disk for all but small files.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("setrlimit");
  }
  ~SmallFiles() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(Loop, ACheckpointThatCannotBeWrittenIsSaidAndTheRunGoesOn) {
  const Words overrides = {"train.epochs=3", "train.keep_checkpoints=9"};
  run("whole", overrides);
  Recorder recorder;
  std::optional<SmallFiles> full;
  recorder.at_epoch = [&](std::int64_t epoch) {
    if (epoch == 1) full.emplace(100'000);
    if (epoch == 2) full.reset();
  };
  const tests::Ran result = run("r", overrides, recorder);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(recorder.notes,
              HasSubstr("the checkpoint of step 10 was not written; the one of step 5 is kept and "
                        "the run goes on:\n  cannot write "));
  EXPECT_THAT(recorder.notes, HasSubstr("step-00000010/state.safetensors: File too large"));
  EXPECT_THAT(checkpoints("r"), ElementsAre(15, 5));
  EXPECT_TRUE(weights("r", "step-00000015") == weights("whole", "step-00000015"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r"), tests::metrics_of(folder_ / "whole"));
}

TEST_F(Loop, ALastCheckpointThatCannotBeWrittenIsAnErrorAndCanBeMadeUpFor) {
  const Words overrides = {"train.epochs=3", "train.keep_checkpoints=9"};
  run("whole", overrides);
  Recorder recorder;
  std::optional<SmallFiles> full;
  recorder.at_epoch = [&](std::int64_t epoch) {
    if (epoch == 1) full.emplace(100'000);
  };
  try {
    run("r", overrides, recorder);
    ADD_FAILURE() << "a run without its last checkpoint ended well";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 6);
    EXPECT_THAT(error.what(), StartsWith("the run is over but its last checkpoint could not be "
                                         "written: cannot write "));
    EXPECT_THAT(error.what(), HasSubstr("\nhelp: make room and run the same command"));
  }
  full.reset();
  EXPECT_THAT(checkpoints("r"), ElementsAre(5));
  const nlohmann::json failed = tests::result_of(folder_ / "r");
  EXPECT_EQ(failed.at("status"), "failed");
  EXPECT_THAT(failed.at("error").get<std::string>(), StartsWith("the run is over but its last "));
  EXPECT_EQ(failed.at("exit_code"), 6);
  EXPECT_EQ(failed.at("steps"), 15);

  EXPECT_EQ(run("r", overrides).exit_code, 0);
  EXPECT_TRUE(tests::checkpoint_files(folder_ / "r") == tests::checkpoint_files(folder_ / "whole"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r"), tests::metrics_of(folder_ / "whole"));
}

TEST_F(Loop, ARunWhoseFirstCheckpointCannotBeWrittenStops) {
  run("whole");
  Recorder recorder;
  std::optional<SmallFiles> full(std::in_place, 100'000);
  try {
    run("r", {}, recorder);
    ADD_FAILURE() << "a run without any checkpoint went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 6);
    EXPECT_THAT(error.what(),
                StartsWith("the checkpoint of step 5 was not written, and there is none before it: "
                           "the run stops, since whatever ended it later would take all of it\n"
                           "  cannot write "));
    EXPECT_THAT(error.what(), HasSubstr("\nhelp: "));
  }
  full.reset();
  EXPECT_THAT(checkpoints("r"), IsEmpty());
  EXPECT_THAT(recorder.events, ElementsAre("step 1", "step 2", "step 3", "step 4", "step 5"));
  const nlohmann::json result = tests::result_of(folder_ / "r");
  EXPECT_EQ(result.at("status"), "failed");
  EXPECT_THAT(result.at("error").get<std::string>(), HasSubstr("there is none before it"));
  EXPECT_EQ(result.at("steps"), 5);

  EXPECT_EQ(run("r").json.at("status"), "finished");
  EXPECT_TRUE(tests::checkpoint_files(folder_ / "r") == tests::checkpoint_files(folder_ / "whole"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r"), tests::metrics_of(folder_ / "whole"));
}

TEST_F(Loop, ABestThatWasNotSavedIsNotClaimed) {
  Recorder recorder;
  std::optional<SmallFiles> full;
  // The disk is full at the end of the first epoch, after a checkpoint in its middle.
  recorder.at_step = [&](std::int64_t step) {
    if (step == 3) full.emplace(100'000);
  };
  recorder.at_epoch = [&](std::int64_t) { full.reset(); };
  const tests::Ran result = run(
      "r", {"data.validation=300", "optimizer.learning_rate=0.2", "train.checkpoint_every_steps=2"},
      recorder);
  EXPECT_THAT(recorder.notes, HasSubstr("the best weights were not saved; the run goes on: "));
  ASSERT_EQ(recorder.epochs.size(), 2U);
  EXPECT_TRUE(recorder.epochs[0].is_best);
  // The first epoch is lost, so the second is the best, whatever the first had reached.
  EXPECT_TRUE(recorder.epochs[1].is_best);
  EXPECT_EQ(result.json.at("best_epoch"), 2);
  EXPECT_EQ(result.json.at("validation_accuracy"), recorder.epochs[1].evaluation->top1);
}

/// Labels outside of the classes: every evaluation with them throws, as a plugin could.
void spoil(data::Split& split) {
  for (auto& label : split.labels) label = 200;
}

TEST_F(Loop, AnEvaluationThatFailsDoesNotEndTheTraining) {
  const Words overrides = {"data.validation=300", "train.keep_checkpoints=9"};
  run("whole", overrides);
  data::Dataset data = jobs::load_data(experiment(overrides));
  spoil(data.validation);
  Recorder recorder;
  const auto with = [&](const std::string& directory, Progress& progress) {
    jobs::RunRequest request;
    request.run_dir = (folder_ / directory).string();
    request.data = &data;
    return tests::Ran(jobs::run_experiment(experiment(overrides), request, registry_, progress));
  };
  const tests::Ran result = with("r", recorder);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.json.at("status"), "finished");
  EXPECT_EQ(result.json.at("selected_by"), "last epoch") << "nothing was chosen";
  EXPECT_THAT(recorder.notes,
              HasSubstr("warning: the evaluation of epoch 1 failed; the training "
                        "goes on:\n  internal error: Target 200 is out of bounds."));
  EXPECT_THAT(recorder.notes, HasSubstr("warning: the evaluation of epoch 2 failed; "));
  EXPECT_THAT(recorder.notes, Not(HasSubstr("frame #"))) << "the stack is for a debugger";
  ASSERT_EQ(recorder.epochs.size(), 2U);
  EXPECT_FALSE(recorder.epochs[0].evaluation.has_value());
  EXPECT_THAT(recorder.epochs[0].evaluation_error,
              StartsWith("internal error: Target 200 is out of bounds."));
  EXPECT_EQ(phases("r"), "train validation train validation");
  const nlohmann::json line = tests::metrics_of(folder_ / "r").at(1);
  EXPECT_THAT(line.at("error").get<std::string>(),
              StartsWith("internal error: Target 200 is out of bounds."));
  EXPECT_EQ(line.at("epoch"), 1);
  EXPECT_FALSE(line.contains("accuracy"));
  const std::string last = "step-0000000" + std::to_string(checkpoints("r").front());
  EXPECT_TRUE(weights("r", last) == weights("whole", last)) << "the training is the same";

  // Stopped in the evaluation that failed: it fails again and writes the same lines.
  Recorder stopped;
  stopped.at_step = [&](std::int64_t step) {
    if (step == checkpoints("r").back()) ::raise(SIGTERM);
  };
  EXPECT_EQ(with("s", stopped).exit_code, 75);
  EXPECT_EQ(phases("s"), "train");
  Recorder rest;
  EXPECT_EQ(with("s", rest).exit_code, 0);
  EXPECT_EQ(tests::metrics_of(folder_ / "s"), tests::metrics_of(folder_ / "r"));
}

TEST_F(Loop, AFinalEvaluationThatFailsIsAFailedRunThatCanBeTriedAgain) {
  const tests::Ran whole = run("whole");
  data::Dataset data = jobs::load_data(experiment());
  spoil(data.test);
  jobs::RunRequest request;
  request.run_dir = (folder_ / "r").string();
  request.data = &data;
  request.known.label = "spoiled";
  Recorder recorder;
  try {
    jobs::run_experiment(experiment(), request, registry_, recorder);
    ADD_FAILURE() << "a run without test figures ended well";
  } catch (const RunFailed& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_THAT(error.what(), StartsWith("internal error: Target 200 is out of bounds."));
    EXPECT_EQ(to_json(error.result()), tests::result_of(folder_ / "r"));
  }
  const nlohmann::json failed = tests::result_of(folder_ / "r");
  EXPECT_EQ(failed.at("status"), "failed");
  EXPECT_THAT(failed.at("error").get<std::string>(),
              StartsWith("internal error: Target 200 is out of bounds."));
  EXPECT_EQ(failed.at("exit_code"), 1);
  EXPECT_EQ(failed.at("label"), "spoiled");
  EXPECT_EQ(failed.at("steps"), 10);
  EXPECT_FALSE(failed.contains("test_accuracy"));
  EXPECT_THAT(checkpoints("r"), ElementsAre(10, 5));

  // With skip_failed it is skipped, else it is tried again from its checkpoint.
  request.skip_failed = true;
  const tests::Ran skipped(jobs::run_experiment(experiment(), request, registry_, recorder));
  EXPECT_TRUE(skipped.was_skipped);
  EXPECT_EQ(skipped.exit_code, 1);
  nlohmann::json kept = failed;
  kept.erase("seconds");
  EXPECT_EQ(skipped.json, kept);
  Recorder again;
  const tests::Ran result = run("r", {}, again);
  EXPECT_EQ(result.json.at("status"), "finished");
  EXPECT_EQ(result.json.at("test_loss"), whole.json.at("test_loss"));
  EXPECT_FALSE(result.json.contains("error"));
  EXPECT_THAT(again.events, ElementsAre("epoch 2 test")) << "the evaluation that was pending";
  EXPECT_TRUE(tests::checkpoint_files(folder_ / "r") == tests::checkpoint_files(folder_ / "whole"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r").back(), tests::metrics_of(folder_ / "whole").back());
}

TEST_F(Loop, ASignalStopsAnEvaluationBetweenTwoBatchesAndItIsMadeUpFor) {
  const Words overrides = {"data.validation=300", "train.epochs=3", "train.keep_checkpoints=9",
                           "train.evaluation_batch_size=100"};
  const tests::Ran whole = run("whole", overrides);
  Recorder recorder;
  std::int64_t per_epoch = 0;
  recorder.at_step = [&](std::int64_t step) {
    per_epoch = recorder.steps.back().steps_per_epoch;
    if (step == 2 * per_epoch) ::raise(SIGTERM);
  };
  const tests::Ran stopped = run("r", overrides, recorder);
  EXPECT_EQ(stopped.exit_code, 75);
  EXPECT_EQ(stopped.json.at("status"), "interrupted");
  EXPECT_EQ(stopped.json.at("steps"), 2 * per_epoch);
  EXPECT_EQ(phases("r"), "train validation train");
  EXPECT_THAT(checkpoints("r"), ElementsAre(2 * per_epoch, per_epoch));

  Recorder rest;
  const tests::Ran result = run("r", overrides, rest);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(rest.events.front(), StartsWith("epoch 2 validation"));
  EXPECT_EQ(rest.epochs.front().train_loss, tests::metrics_of(folder_ / "r").at(2).at("loss"));
  EXPECT_EQ(result.json.at("test_loss"), whole.json.at("test_loss"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r"), tests::metrics_of(folder_ / "whole"));
  EXPECT_TRUE(tests::checkpoint_files(folder_ / "r") == tests::checkpoint_files(folder_ / "whole"));
}

TEST_F(Loop, ASignalStopsTheFinalEvaluation) {
  const tests::Ran whole = run("whole");
  Recorder recorder;
  recorder.at_epoch = [&](std::int64_t epoch) {
    if (epoch == 2) ::raise(SIGINT);
  };
  const tests::Ran stopped = run("r", {}, recorder);
  EXPECT_EQ(stopped.exit_code, 75);
  EXPECT_EQ(tests::result_of(folder_ / "r").at("status"), "interrupted");
  EXPECT_FALSE(stopped.json.contains("test_accuracy"));
  EXPECT_EQ(run("r").json.at("test_loss"), whole.json.at("test_loss"));
  EXPECT_EQ(tests::metrics_of(folder_ / "r"), tests::metrics_of(folder_ / "whole"));
}

TEST_F(Loop, ASignalStopsACalibration) {
  const Words overrides = {"quantizer.name=ptq_static", "train.epochs=0",
                           "calibration.batches=1000"};
  Recorder recorder;
  recorder.at_note = [&](const std::string& text) {
    if (text.starts_with("calibration: ")) ::raise(SIGTERM);
  };
  const tests::Ran stopped = run("r", overrides, recorder);
  EXPECT_THAT(recorder.notes, HasSubstr("calibration: the training set has only "));
  EXPECT_EQ(stopped.exit_code, 75);
  EXPECT_EQ(stopped.json.at("status"), "interrupted");
  EXPECT_THAT(checkpoints("r"), IsEmpty());
  EXPECT_EQ(run("r", overrides).json.at("status"), "finished");
}

// There is no result yet that needs a directory.
TEST_F(Loop, ASignalWhileTheDataAreLoadedLeavesNoDirectory) {
  const InterruptGuard outer;
  ::raise(SIGTERM);
  EXPECT_THROW(run("r"), Interrupted);
  EXPECT_FALSE(fs::exists(folder_ / "r"));
}

// Both losses have their names, and the one without smoothing equals that of a run without
// smoothing.

}  // namespace
}  // namespace qhost::training
