// The training loop as a whole: order of events, selection, repeatability.
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "jobs/assemble.h"
#include "jobs/evaluate_run.h"
#include "loop.h"
#include "storage/json_lines.h"
#include "storage/tensor_bytes.h"
#include "training/evaluate.h"
#include "training/interrupt.h"

namespace qhost::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST_F(Loop, ThreeEpochsInTheirOrder) {
  Recorder recorder;
  Words on_disk;
  recorder.at_epoch = [&](std::int64_t) {
    std::string steps;
    for (const std::int64_t step : checkpoints("r")) steps += " " + std::to_string(step);
    on_disk.push_back(phases("r") + " |" + steps);
  };
  const tests::Ran result =
      run("r", {"train.epochs=3", "train.evaluate_every=2", "train.checkpoint_every=2"}, recorder);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(recorder.events,
              ElementsAre("step 1", "step 2", "step 3", "step 4", "step 5", "epoch 1",        //
                          "step 6", "step 7", "step 8", "step 9", "step 10", "epoch 2 test",  //
                          "step 11", "step 12", "step 13", "step 14", "step 15", "epoch 3 test"));
  // The last epoch is evaluated and saved for any interval.
  EXPECT_THAT(on_disk, ElementsAre("train |", "train train test | 10",
                                   "train train test train test | 15 10"));

  const auto lines = tests::metrics_of(folder_ / "r");
  ASSERT_EQ(lines.size(), 5U);
  const std::vector<std::pair<int, int>> where = {{1, 5}, {2, 10}, {2, 10}, {3, 15}, {3, 15}};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].at("epoch"), where[i].first) << i;
    EXPECT_EQ(lines[i].at("step"), where[i].second) << i;
    const bool train = lines[i].at("phase") == "train";
    EXPECT_EQ(lines[i].at("samples"), train ? 135 : 450) << i;
    EXPECT_EQ(lines[i].contains("learning_rate"), train) << i;
    // Six of eight layers are quantized; the first and the last stay in float.
    EXPECT_EQ(lines[i].value("sign_flips", nlohmann::json::object()).size(), train ? 6U : 0U);
  }
  EXPECT_EQ(lines[3].at("loss"), recorder.epochs[2].train_loss);
  EXPECT_EQ(lines[4].at("loss"), recorder.epochs[2].evaluation->loss);
  EXPECT_EQ(result.json.at("test_loss"), lines[4].at("loss"));
  EXPECT_EQ(result.json.at("test_accuracy"), lines[4].at("accuracy"));
}

TEST_F(Loop, StepsReportMeansOverTheEpochSoFar) {
  Recorder recorder;
  run("r", {"schedule.name=step", "schedule.every=1"}, recorder);
  ASSERT_EQ(recorder.steps.size(), 10U);
  for (std::size_t i = 0; i < 10; ++i) {
    const StepReport& report = recorder.steps[i];
    EXPECT_EQ(report.epoch, i < 5 ? 0 : 1);
    EXPECT_EQ(report.epochs, 2);
    EXPECT_EQ(report.steps, 10);
    EXPECT_EQ(report.steps_per_epoch, 5);
    EXPECT_DOUBLE_EQ(report.learning_rate, i < 5 ? 0.1 : 0.01);
  }
  for (const int epoch : {0, 1}) {
    const StepReport& last = recorder.steps[static_cast<std::size_t>(epoch) * 5 + 4];
    EXPECT_EQ(last.loss, recorder.epochs[static_cast<std::size_t>(epoch)].train_loss);
    EXPECT_EQ(last.accuracy, recorder.epochs[static_cast<std::size_t>(epoch)].train_accuracy);
  }
  // The sums start anew in each epoch: its first accuracy is that of one batch.
  const double of_batch = recorder.steps[5].accuracy * 32;
  EXPECT_EQ(of_batch, std::round(of_batch));
}

/// The last of `epochs` has a learning rate that ruins the network, so that it is not the best one.
Words with_a_bad_end(int epochs) {
  return {"train.epochs=" + std::to_string(epochs), "schedule.name=multi_step",
          "schedule.milestones=[" + std::to_string(epochs - 1) + "]", "schedule.factor=100"};
}

TEST_F(Loop, TheBestEpochIsChosenOnValidationImages) {
  Words overrides = with_a_bad_end(6);
  overrides.push_back("data.validation=300");
  Recorder recorder;
  const std::string directory = "r";
  const tests::Ran result = run(directory, overrides, recorder);
  ASSERT_LT(result.json.at("best_epoch"), 6) << "the last epoch should be bad";

  // Computed by hand: higher accuracy, then lower loss, then the earlier epoch.
  std::int64_t best = -1;
  for (const EpochReport& report : recorder.epochs) {
    ASSERT_TRUE(report.evaluation.has_value());
    EXPECT_EQ(report.evaluated_on, "validation");
    EXPECT_EQ(report.evaluation->samples, 300);
    bool better = best < 0;
    if (best >= 0) {
      const MetricsResult& before = *recorder.epochs[static_cast<std::size_t>(best)].evaluation;
      better = report.evaluation->top1 > before.top1 ||
               (report.evaluation->top1 == before.top1 && report.evaluation->loss < before.loss);
    }
    EXPECT_EQ(report.is_best, better) << report.epoch;
    if (better) best = report.epoch;
  }
  EXPECT_EQ(result.json.at("best_epoch"), best + 1);
  EXPECT_EQ(result.json.at("validation_accuracy"),
            recorder.epochs[static_cast<std::size_t>(best)].evaluation->top1);
  EXPECT_EQ(result.json.at("selected_by"), "validation accuracy");
  EXPECT_EQ(phases(directory),
            "train validation train validation train validation train validation train validation "
            "train validation");

  // The metrics of the result are those of the best weights; `last` gives others.
  const auto evaluated = [&](const std::string& which) {
    Recorder ignored;
    return jobs::evaluate_run({.run = folder_ / directory, .checkpoint = which}, registry_, ignored)
        .evaluation.metrics;
  };
  EXPECT_EQ(result.json.at("test_accuracy"), evaluated("best").top1);
  EXPECT_EQ(result.json.at("test_loss"), evaluated("selected").loss);
  EXPECT_NE(result.json.at("test_loss"), evaluated("last").loss);
}

// Random draws in evaluation repeat, whenever the selected weights are evaluated.
TEST_F(Loop, TheBestOfADrawnEnsembleIsEvaluatedTheSameAgain) {
  Words overrides = with_a_bad_end(4);
  overrides.insert(overrides.end(),
                   {"data.validation=300", "data.fraction=0.5", "quantizer.name=binaryconnect",
                    "quantizer.layers=[\"stage3.*\"]", "quantizer.mode=stochastic",
                    "quantizer.test_weights=ensemble", "quantizer.samples=2"});
  const std::string directory = "r";
  const tests::Ran result = run(directory, overrides);
  ASSERT_LT(result.json.at("best_epoch"), 4) << "the last epoch should be bad";
  Recorder ignored;
  const MetricsResult again =
      jobs::evaluate_run({.run = folder_ / directory}, registry_, ignored).evaluation.metrics;
  EXPECT_EQ(result.json.at("test_loss"), again.loss);
  EXPECT_EQ(result.json.at("test_accuracy"), again.top1);
}

TEST_F(Loop, WithoutValidationTheLastEpochCounts) {
  Recorder recorder;
  const tests::Ran result = run("r", with_a_bad_end(6), recorder);
  double best = 0;
  for (const EpochReport& report : recorder.epochs) {
    EXPECT_FALSE(report.is_best);
    EXPECT_EQ(report.evaluated_on, "test");
    best = std::max(best, report.evaluation->top1);
  }
  EXPECT_FALSE(fs::exists(folder_ / "r" / "checkpoints" / "best"));
  EXPECT_EQ(result.json.at("selected_by"), "last epoch");
  EXPECT_FALSE(result.json.contains("best_epoch"));
  EXPECT_EQ(result.json.at("test_accuracy"), recorder.epochs.back().evaluation->top1);
  EXPECT_LT(result.json.at("test_accuracy").get<double>(), best);
}

// Other labels of the test images change only the test metrics.
TEST_F(Loop, TheTestSetDecidesNothing) {
  const config::Experiment given =
      experiment({"data.validation=300", "train.epochs=3", "optimizer.learning_rate=0.2"});
  const auto train = [&](const std::string& directory, const data::Dataset& data,
                         MetricsResult& test) {
    const auto model = jobs::build_model(given, registry_);
    const runs::RunDirectory run = runs::RunDirectory::create_at(folder_ / directory);
    Recorder progress;
    Trainer trainer(given, *model, data, run, progress);
    trainer.start();
    EXPECT_EQ(trainer.run(), Outcome::finished);
    test = trainer.test().metrics;
    return trainer.state();
  };
  data::Dataset data = jobs::load_data(given);
  MetricsResult honest, shifted;
  const LoopState first = train("honest", data, honest);
  for (auto& label : data.test.labels) label = static_cast<std::uint16_t>((label + 1) % 10);
  const LoopState second = train("shifted", data, shifted);
  EXPECT_NE(honest.loss, shifted.loss);
  EXPECT_EQ(first, second);
  const auto files = tests::checkpoint_files(folder_ / "honest");
  EXPECT_TRUE(files == tests::checkpoint_files(folder_ / "shifted"));
  EXPECT_EQ(files.count("best"), 1U);
}

TEST_F(Loop, MaxStepsStopsWithinAnEpoch) {
  const Words schedule = {"train.epochs=3", "schedule.name=cosine",
                          "train.checkpoint_every_steps=7", "train.keep_checkpoints=9"};
  run("whole", schedule);
  Words limited = schedule;
  limited.push_back("train.max_steps=7");
  Recorder recorder;
  const tests::Ran result = run("part", limited, recorder);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.json.at("status"), "finished");
  EXPECT_EQ(result.json.at("steps"), 7);
  EXPECT_EQ(result.json.at("epochs"), 1);
  ASSERT_EQ(recorder.steps.size(), 7U);
  EXPECT_EQ(recorder.steps.back().steps, 7);
  EXPECT_EQ(recorder.events.back(), "epoch 2 test");
  EXPECT_EQ(tests::metrics_of(folder_ / "part").at(2).at("samples"), 64);
  EXPECT_THAT(checkpoints("part"), ElementsAre(7, 5));
  // The schedule is still that of three epochs: the first seven steps equal those of the whole run.
  storage::File whole =
      storage::File::read(folder_ / "whole/checkpoints/step-00000007" / "state.safetensors");
  storage::File part =
      storage::File::read(folder_ / "part/checkpoints/step-00000007" / "state.safetensors");
  const auto of_whole = storage::read_tensors(whole, "model/"),
             of_part = storage::read_tensors(part, "model/");
  ASSERT_EQ(of_whole.size(), of_part.size());
  for (const auto& [name, tensor] : of_whole) {
    EXPECT_TRUE(at::equal(tensor, of_part.at(name))) << name;
  }
  // A limit beyond the end has no effect.
  EXPECT_EQ(run("beyond", {"train.max_steps=1000"}).json.at("steps"), 10);
}

TEST_F(Loop, NoEpochEvaluatesTheInitialWeights) {
  Recorder recorder;
  const tests::Ran result = run("r", {"train.epochs=0"}, recorder);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.json.at("status"), "finished");
  EXPECT_EQ(result.json.at("epochs"), 0);
  EXPECT_EQ(result.json.at("test_samples"), 450);
  EXPECT_THAT(recorder.events, IsEmpty());
  EXPECT_THAT(checkpoints("r"), ElementsAre(0));
  EXPECT_EQ(phases("r"), "");

  const auto model = jobs::build_model(experiment(), registry_);
  model->initialize({.seed = 1});
  const auto saved = storage::read_tensors(
      runs::load_checkpoint(folder_ / "r/checkpoints/step-00000000").tensors, "model/");
  ASSERT_EQ(saved.size(), model->state().size());
  for (const NamedTensor& entry : model->state()) {
    EXPECT_TRUE(at::equal(entry.tensor, saved.at(entry.name))) << entry.name;
  }
}

TEST_F(Loop, SecondsAgreeInLinesReportsAndResult) {
  Recorder recorder;
  run("r", {"train.epochs=3", "train.evaluate_every=2"}, recorder);
  double training = 0, evaluation = 0;
  Words lines;
  for (const nlohmann::json& line : storage::read_json_lines(folder_ / "r/metrics.jsonl")) {
    const double seconds = line.at("seconds");
    EXPECT_GT(seconds, 0);
    const EpochReport& epoch = recorder.epochs.at(line.at("epoch").get<std::size_t>() - 1);
    if (line.at("phase") == "train") {
      training += seconds;
      EXPECT_EQ(epoch.train_seconds, seconds);
    } else {
      evaluation += seconds;
      EXPECT_EQ(epoch.evaluation_seconds, seconds);
    }
  }
  EXPECT_FALSE(recorder.epochs.at(0).evaluation_seconds);
  const nlohmann::json result = tests::result_of(folder_ / "r").at("seconds");
  EXPECT_EQ(result.at("training"), training);
  EXPECT_EQ(result.at("evaluation"), evaluation);
  EXPECT_GT(result.at("test"), 0);
}

TEST_F(Loop, ReportsEveryBatchOfAnEvaluation) {
  Recorder recorder;
  run("r", {"train.epochs=2", "train.evaluation_batch_size=200", "train.bn_recalibrate=1"},
      recorder);
  Words seen;
  for (const ActivityReport& report : recorder.activities) {
    seen.push_back(report.activity + " " + std::to_string(report.done) + "/" +
                   std::to_string(report.of) +
                   (report.epoch ? " of epoch " + std::to_string(*report.epoch + 1) + "/" +
                                       std::to_string(report.epochs)
                                 : ""));
    EXPECT_TRUE(report.seconds_left) << seen.back();
  }
  EXPECT_THAT(seen, ElementsAre("test 200/450 of epoch 1/2", "test 400/450 of epoch 1/2",
                                "test 450/450 of epoch 1/2", "test 200/450 of epoch 2/2",
                                "test 400/450 of epoch 2/2", "test 450/450 of epoch 2/2",  //
                                "test 200/450", "test 400/450", "test 450/450",            //
                                "test 200/450", "test 400/450", "test 450/450"));
  EXPECT_EQ(recorder.activities.back().seconds_left, 0);
  for (const StepReport& step : recorder.steps) EXPECT_GT(step.seconds_left, 0);
}

TEST_F(Loop, ReportsTheBatchesOfACalibration) {
  Recorder recorder;
  run("r", {"train.epochs=0", "quantizer.name=ptq_static", "calibration.batches=3"}, recorder);
  ASSERT_GE(recorder.activities.size(), 3U);
  EXPECT_EQ(recorder.activities[2].activity, "calibration");
  EXPECT_EQ(recorder.activities[2].done, 3);
  EXPECT_EQ(recorder.activities[2].of, 3);
  EXPECT_FALSE(recorder.activities[2].seconds_left) << "the training's pace is not known";
}

TEST_F(Loop, EvaluationChangesNothing) {
  // Stochastic weights: a draw in evaluation must not change the draws of training.
  const Words method = {"train.epochs=3", "quantizer.name=binaryconnect",
                        "quantizer.mode=stochastic", "quantizer.test_weights=ensemble",
                        "quantizer.samples=2"};
  Words seldom = method;
  seldom.push_back("train.evaluate_every=3");
  run("often", method);
  run("seldom", seldom);
  EXPECT_EQ(phases("seldom"), "train train train test");
  const auto tensors = [&](const std::string& directory) {
    return weights(directory, "step-00000015");
  };
  EXPECT_TRUE(tensors("often") == tensors("seldom"));

  const config::Experiment given = experiment(method);
  const data::Dataset data = jobs::load_data(given);
  const auto model = jobs::build_model(given, registry_);
  model->initialize({.seed = 1});
  std::vector<at::Tensor> before;
  for (const NamedTensor& entry : model->state()) before.push_back(entry.tensor.detach().clone());
  evaluate(*model, data.test, evaluation_settings(given, data), {.seed = 1});
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(at::equal(before[i], model->state()[i].tensor)) << model->state()[i].name;
  }
}

TEST_F(Loop, EqualSeedsRepeatToTheBitAndOthersDoNot) {
  const Words drawn = {"quantizer.name=binaryconnect", "quantizer.mode=stochastic",
                       "augment.crop_padding=1", "augment.flip=true"};
  const auto with = [&](const std::string& seed) {
    Words words = drawn;
    words.push_back("train.seed=" + seed);
    return words;
  };
  nlohmann::json one = run("one", with("1")).json, same = run("same", with("1")).json;
  const nlohmann::json other = run("other", with("2")).json;
  one.erase("run_dir");
  same.erase("run_dir");
  EXPECT_EQ(one, same);
  EXPECT_TRUE(tests::checkpoint_files(folder_ / "one") ==
              tests::checkpoint_files(folder_ / "same"));
  EXPECT_EQ(tests::metrics_of(folder_ / "one"), tests::metrics_of(folder_ / "same"));
  EXPECT_NE(one.at("test_loss"), other.at("test_loss"));
  EXPECT_FALSE(weights("one", "step-00000010") == weights("other", "step-00000010"));
  EXPECT_NE(tests::metrics_of(folder_ / "one"), tests::metrics_of(folder_ / "other"));
}

TEST_F(Loop, ADivergedRunSaysWhereAndKeepsItsBest) {
  // The learning rate explodes in the second epoch.
  const Words overrides = {"data.validation=300", "train.epochs=3", "schedule.name=multi_step",
                           "schedule.milestones=[1]", "schedule.factor=1e30"};
  Recorder recorder;
  try {
    run("r", overrides, recorder);
    FAIL() << "the run did not diverge";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 5);
    EXPECT_THAT(error.what(), StartsWith("the loss is "));
    EXPECT_THAT(error.what(), HasSubstr("values are not finite\n"));
    EXPECT_THAT(error.what(),
                HasSubstr("\n  in the order of the network the first that is not finite: "));
    EXPECT_THAT(error.what(), HasSubstr("\nhelp: lower optimizer.learning_rate, warm up"));
  }
  const std::int64_t per_epoch = recorder.steps.at(0).steps_per_epoch;
  const nlohmann::json result = tests::result_of(folder_ / "r");
  EXPECT_EQ(result.at("status"), "diverged");
  EXPECT_EQ(result.at("epochs"), 1);
  EXPECT_FALSE(result.contains("test_accuracy"));
  EXPECT_THAT(checkpoints("r"), ElementsAre(per_epoch));
  const auto best = runs::load_best(folder_ / "r" / "checkpoints");
  ASSERT_TRUE(best.has_value());
  EXPECT_EQ(best->step, per_epoch);
  for (const auto& [name, tensor] : storage::read_tensors(best->tensors, "model/")) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
}

TEST_F(Loop, TheTestLossIsNamedWithAndWithoutLabelSmoothing) {
  const Words overrides = {"train.label_smoothing=0.2", "train.epochs=1"};
  const tests::Ran smooth = run("smooth", overrides);
  const double with = smooth.json.at("test_loss"),
               without = smooth.json.at("test_loss_without_label_smoothing");
  EXPECT_NE(with, without);
  const nlohmann::json line = tests::metrics_of(folder_ / "smooth").at(1);
  EXPECT_EQ(line.at("loss"), with);
  EXPECT_EQ(line.at("loss_without_label_smoothing"), without);
  // The same weights under a configuration without smoothing.
  const tests::Ran plain =
      run("plain", {"train.epochs=0", "train.init_from=" + (folder_ / "smooth").string()});
  EXPECT_NEAR(plain.json.at("test_loss").get<double>(), without, 1e-6);
  EXPECT_FALSE(plain.json.contains("test_loss_without_label_smoothing"));
}

}  // namespace
}  // namespace qhost::training
