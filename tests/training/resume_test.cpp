// A run that was killed, at failpoints and at random times, ends in the same bits as an undisturbed
// run: the files of its checkpoints are compared byte by byte.
#include <gmock/gmock.h>

#include <random>

#include "cli/process.h"
#include "storage/json_lines.h"
#include "storage/sha256.h"
#include "training/trainer.h"

namespace qhost {
namespace {

using ::testing::HasSubstr;
using tests::Workshop;
using Words = Workshop::Words;

struct Recipe {
  std::string name;
  std::string model, optimizer, quantizer;  ///< TOML
  Words overrides;
  int steps_per_epoch = 5;
};
void PrintTo(const Recipe& recipe, std::ostream* out) {
  *out << recipe.name;
}

std::string text_of(const Recipe& recipe) {
  return "[data]\nname = \"digits\"\nfraction = 0.1\n[model]\n" + recipe.model +
         "[train]\nepochs = 3\nbatch_size = 32\nthreads = 1\nseed = 5\nverify = \"off\"\n"
         "[augment]\ncrop_padding = 1\n[schedule]\nname = \"cosine\"\n[optimizer]\n" +
         recipe.optimizer + recipe.quantizer;
}

const std::string resnet = "name = \"resnet\"\ndepth = 8\n";
const std::string sgd =
    "name = \"sgd\"\nlearning_rate = 0.05\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-4\n";
const std::string adam = "name = \"adam\"\nlearning_rate = 0.01\n";

const Recipe channels_last_momentum = {
    "bwn_sgd_channels_last",
    resnet,
    sgd,
    "[quantizer]\nname = \"bwn\"\n",
    {"train.channels_last=true", "train.checkpoint_every_steps=2"}};
const Recipe validated = {"bwn_chosen_on_validation",
                          resnet,
                          sgd,
                          "[quantizer]\nname = \"bwn\"\n",
                          {"data.validation=400", "train.checkpoint_every_steps=2"},
                          3};
const std::vector<Recipe> others = {
    {"float_adam_bf16",
     resnet,
     adam,
     "",
     {"train.precision=bf16", "train.checkpoint_every_steps=2", "train.gradient_clip=1.0"}},
    {"stochastic_binaryconnect",
     resnet,
     adam,
     "[quantizer]\nname = \"binaryconnect\"\nmode = \"stochastic\"\ntest_weights = \"ensemble\"\n"
     "samples = 2\nlr_scale = \"glorot\"\n",
     {"train.checkpoint_every_steps=2"}},
    {"wideresnet_with_dropout",
     "name = \"wideresnet\"\ndepth = 10\nwiden_factor = 1\ndropout = 0.3\n",
     sgd,
     "[quantizer]\nname = \"bwn\"\n",
     {"train.checkpoint_every_steps=2"}},
};

/// One recipe, its uninterrupted run, and killed runs of it.
class Runs {
 public:
  explicit Runs(const Recipe& recipe) : recipe_(recipe) {
    workshop_.write("e.toml", text_of(recipe));
    const tests::ProcessResult whole = workshop_.run(command("whole"));
    if (whole.code != 0) throw std::runtime_error("the uninterrupted run failed:\n" + whole.err);
  }

  Words command(const std::string& directory) const {
    Words words = {"run", "e.toml"};
    words.insert(words.end(), recipe_.overrides.begin(), recipe_.overrides.end());
    words.insert(words.end(), {"--run-dir", directory});
    return words;
  }

  /// Dies at each of the points in turn, then runs to its end, always with the same command.
  void expect_same_after(const Words& points) {
    const std::string directory = "killed" + std::to_string(++count_);
    for (const std::string& point : points) {
      ASSERT_TRUE(workshop_.run_dies_at(point, command(directory))) << "never came to " << point;
    }
    const tests::ProcessResult rest = workshop_.run(command(directory));
    ASSERT_EQ(rest.code, 0) << ::testing::PrintToString(rest);
    expect_same(workshop_ / directory);
    fs_remove(workshop_ / directory);
  }

  /// The times of all sessions, as the lines have them.
  static void expect_its_seconds(const std::filesystem::path& run, const nlohmann::json& seconds) {
    double training = 0, evaluation = 0;
    for (const nlohmann::json& line : storage::read_json_lines(run / "metrics.jsonl")) {
      (line.at("phase") == "train" ? training : evaluation) += line.at("seconds").get<double>();
    }
    EXPECT_EQ(seconds.at("training"), training);
    EXPECT_EQ(seconds.at("evaluation"), evaluation);
  }

  void expect_same(const std::filesystem::path& run) {
    const auto expected = tests::checkpoint_files(workshop_ / "whole"),
               got = tests::checkpoint_files(run);
    ASSERT_EQ(tests::names_of(expected), tests::names_of(got));
    for (const auto& [name, bytes] : expected) {
      EXPECT_TRUE(bytes == got.at(name)) << name << " differs";
    }
    EXPECT_EQ(tests::metrics_of(workshop_ / "whole"), tests::metrics_of(run));
    nlohmann::json whole = tests::result_of(workshop_ / "whole"), other = tests::result_of(run);
    for (nlohmann::json* result : {&whole, &other}) {
      result->erase("run_dir");
      result->erase("seconds");
    }
    EXPECT_EQ(whole, other);
    expect_its_seconds(run, tests::result_of(run).at("seconds"));
    // No part of a torn write is left beside them.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(run)) {
      EXPECT_FALSE(entry.path().filename().string().starts_with(".qhost-tmp")) << entry.path();
    }
  }

  Workshop& workshop() { return workshop_; }
  const Workshop& workshop() const { return workshop_; }

 private:
  static void fs_remove(const std::filesystem::path& path) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  const Recipe& recipe_;
  Workshop workshop_;
  int count_ = 0;
};

TEST(ResumeWithMomentum, AfterAKillAtEachPointOfAStepAndOfACheckpoint) {
  Runs runs(channels_last_momentum);
  // A run has 15 steps and checkpoints at 2, 4, 5, 7, 9, 10, 12, 14 and 15.
  for (const Words& points :
       std::vector<Words>{{"run.after-rename"},
                          {"file.before-rename:1"},
                          {"file.before-rename:2"},
                          {"loop.step:1"},       // the first of an epoch, before any checkpoint
                          {"loop.step:6"},       // the first of the second
                          {"loop.step:8"},       // in its middle, one after a checkpoint
                          {"loop.step:10"},      // the last, before its checkpoint
                          {"loop.pending:2"},    // between checkpoint and evaluation
                          {"evaluate.batch:1"},  // within an evaluation
                          {"evaluate.batch:3"},
                          {"loop.evaluated:2"},  // after an evaluation
                          {"loop.step:15"},      // the very last
                          {"loop.pending:3"},
                          {"loop.evaluated:3"},
                          {"checkpoint.temporary:3"},
                          {"checkpoint.half:1"},
                          {"checkpoint.half:4"},
                          {"checkpoint.tensors:5"},
                          {"checkpoint.state:6"},
                          {"checkpoint.before-rename:6"},
                          {"checkpoint.after-rename:6"},
                          {"checkpoint.before-removal:7"},
                          {"checkpoint.removal:4"},
                          {"metrics.half:1"},
                          {"metrics.half:4"},
                          {"metrics.after-line:3"}}) {
    SCOPED_TRACE(::testing::PrintToString(points));
    runs.expect_same_after(points);
  }
}

// Only the result is missing, and the removal of older checkpoints.
TEST(ResumeWithMomentum, AfterTheLastCheckpoint) {
  Runs runs(channels_last_momentum);
  Workshop& workshop = runs.workshop();
  ASSERT_TRUE(workshop.run_dies_at("checkpoint.after-rename:9", runs.command("killed")));
  EXPECT_FALSE(std::filesystem::exists(workshop / "killed/result.json"));
  EXPECT_EQ(workshop.run(runs.command("killed")).code, 0);
  std::filesystem::remove_all(workshop / "killed/checkpoints/step-00000012");
  runs.expect_same(workshop / "killed");
}

TEST(ResumeWithMomentum, AfterSeveralKillsAndKillsOfTheContinuation) {
  Runs runs(channels_last_momentum);
  for (const Words& points : std::vector<Words>{
           {"loop.step:3", "loop.step:2"},                 // twice within the first epoch
           {"loop.step:8", "loop.step:2", "loop.step:1"},  // 8, then from 7 to 9, then 10
           {"checkpoint.half:1", "checkpoint.half:1", "checkpoint.half:2"},
           {"loop.pending:2", "loop.pending:1", "evaluate.batch:1", "loop.step:1"},
           {"loop.evaluated:2", "metrics.before-cut:1", "metrics.after-cut:1", "loop.step:1"},
           {"loop.evaluated:1", "loop.evaluated:1", "loop.evaluated:1", "loop.evaluated:2"}}) {
    SCOPED_TRACE(::testing::PrintToString(points));
    runs.expect_same_after(points);
  }
}

TEST(ResumeWithValidation, TheBestAndItsLinkSurvive) {
  Runs runs(validated);
  ASSERT_EQ(tests::result_of(runs.workshop() / "whole").at("selected_by"), "validation accuracy");
  ASSERT_EQ(tests::checkpoint_files(runs.workshop() / "whole").count("best"), 1U);
  for (const Words& points : std::vector<Words>{{"loop.best:1"},
                                                {"best.half:1"},
                                                {"best.after-rename:1"},
                                                {"best-link.before-rename:1"},
                                                {"best-link.after-rename:1"},
                                                {"best.after-link:1"},
                                                {"loop.pending:1"},
                                                {"loop.pending:3", "evaluate.batch:1"},
                                                {"evaluate.batch:2"},
                                                {"loop.evaluated:2"},
                                                {"loop.best:1", "loop.step:2", "loop.evaluated:1"},
                                                {"loop.step:9"}}) {
    SCOPED_TRACE(::testing::PrintToString(points));
    runs.expect_same_after(points);
  }
}

// It runs after the last checkpoint: no checkpoint contains its effect, and a resumed run repeats
// it.
TEST(ResumeWithRecalibration, EndsInTheSameBitsAndChangesNoCheckpoint) {
  for (Recipe recipe : {channels_last_momentum, validated}) {
    SCOPED_TRACE(recipe.name);
    const Runs without(recipe);
    recipe.overrides.push_back("train.bn_recalibrate=3");
    Runs runs(recipe);
    const auto plain = tests::checkpoint_files(without.workshop() / "whole");
    const auto files = tests::checkpoint_files(runs.workshop() / "whole");
    ASSERT_EQ(tests::names_of(plain), tests::names_of(files));
    for (const auto& [name, bytes] : plain) {
      if (!name.ends_with(".safetensors")) continue;  // the other files contain the configuration
      EXPECT_TRUE(bytes == files.at(name)) << name << " differs";
    }
    const auto reference = tests::result_of(without.workshop() / "whole"),
               result = tests::result_of(runs.workshop() / "whole");
    EXPECT_EQ(result.at("test_loss_before_bn_recalibration"), reference.at("test_loss"));
    EXPECT_NE(result.at("test_loss"), reference.at("test_loss"));
    for (const Words& points :
         std::vector<Words>{{"loop.step:1"}, {"loop.step:8"}, {"loop.evaluated:3"}}) {
      SCOPED_TRACE(::testing::PrintToString(points));
      runs.expect_same_after(points);
    }
  }
}

class ResumeUnder : public ::testing::TestWithParam<Recipe> {};

TEST_P(ResumeUnder, EndsInTheSameBits) {
  Runs runs(GetParam());
  for (const Words& points : std::vector<Words>{{"loop.step:1"},
                                                {"loop.step:8", "loop.step:2"},
                                                {"loop.evaluated:2"},
                                                {"checkpoint.after-rename:4", "loop.step:2"}}) {
    SCOPED_TRACE(::testing::PrintToString(points));
    runs.expect_same_after(points);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, ResumeUnder, ::testing::ValuesIn(others),
                         [](const auto& test) { return test.param.name; });

// Checkpoints within an epoch must not change a bit, and they are not part of the run's identity.
TEST(Resume, WhenAndWhetherToSaveChangesNoBit) {
  Workshop workshop;
  workshop.write("e.toml", text_of(channels_last_momentum));
  std::vector<std::string> last;
  for (const Words& how : std::vector<Words>{{},
                                             {"train.checkpoint_every_steps=1"},
                                             {"train.checkpoint_every=3"},
                                             {"train.keep_checkpoints=9"}}) {
    const std::string directory = "run" + std::to_string(last.size());
    Words words = {"run", "e.toml", "--run-dir", directory};
    words.insert(words.end(), how.begin(), how.end());
    const tests::ProcessResult result = workshop.run(words);
    ASSERT_EQ(result.code, 0) << ::testing::PrintToString(result);
    last.push_back(
        tests::checkpoint_files(workshop / directory).at("step-00000015/state.safetensors"));
  }
  for (const std::string& bytes : last) EXPECT_TRUE(bytes == last[0]);
}

// The program chooses the run directory: it must find the run of this configuration, also after a
// kill has left a directory without a checkpoint.
TEST(Resume, AutoFindsTheRunAfterKillsAtRandomTimes) {
  const bool is_long = std::getenv("QHOST_TEST_LONG") != nullptr;
  const std::uint32_t seed = tests::drawn_seed();
  SCOPED_TRACE("QHOST_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);

  Runs runs(channels_last_momentum);
  Workshop& workshop = runs.workshop();
  const Words command = {
      "run",  "e.toml",    "train.channels_last=true", "train.checkpoint_every_steps=2", "--resume",
      "auto", "--runs-dir"};
  const auto in = [&](const std::string& folder) {
    Words words = command;
    words.push_back(folder);
    return words;
  };
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(workshop.run(in("timed")).code, 0);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;

  for (int round = 0; round < (is_long ? 100 : 3); ++round) {
    const std::string folder = "round" + std::to_string(round);
    std::string moments;
    for (int kill = 0; kill < 2; ++kill) {
      const auto moment = whole * std::uniform_real_distribution<double>(0, 1)(random);
      moments += std::to_string(moment.count()) + " s of " + std::to_string(whole.count()) + "  ";
      Workshop::Child child = workshop.start(in(folder));
      std::this_thread::sleep_for(moment);
      child.signal(SIGKILL);
      child.wait();
    }
    SCOPED_TRACE("killed after " + moments);
    const tests::ProcessResult rest = workshop.run(in(folder));
    ASSERT_EQ(rest.code, 0) << ::testing::PrintToString(rest);
    std::vector<std::filesystem::path> finished;
    for (const auto& entry : std::filesystem::directory_iterator(workshop / folder / "e")) {
      if (!entry.is_symlink() && std::filesystem::exists(entry.path() / "result.json")) {
        finished.push_back(entry.path());
      }
    }
    ASSERT_EQ(finished.size(), 1U);
    runs.expect_same(finished[0]);
  }
}

TEST(Resume, ASignalLeavesACheckpointAndAutoGoesOn) {
  Recipe recipe = channels_last_momentum;
  recipe.overrides = {"train.epochs=100", "train.evaluate_every=50"};
  Runs runs(recipe);
  Workshop& workshop = runs.workshop();
  const Words command = {"run",      "e.toml", "train.epochs=100", "train.evaluate_every=50",
                         "--resume", "auto"};
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    Workshop::Child child = workshop.start(command);
    const std::filesystem::path metrics = workshop / "runs/e/latest/metrics.jsonl";
    const auto lines = tests::metrics_of(workshop / "runs/e/latest").size();
    ASSERT_TRUE(child.wait_until([&] {
      return std::filesystem::exists(metrics) &&
             tests::metrics_of(workshop / "runs/e/latest").size() > lines;
    }));
    child.signal(signal);
    const tests::ProcessResult stopped = child.wait();
    ASSERT_EQ(stopped.code, 75) << ::testing::PrintToString(stopped);
    EXPECT_THAT(stopped.err, ::testing::ContainsRegex(
                                 "\nSIG[A-Z0-9]+: stopping at the end of this (training step|"
                                 "evaluation batch), to be continued with --resume auto; a "
                                 "(second one|SIGINT) ends it at once and loses "));
    EXPECT_THAT(stopped.err,
                HasSubstr("interrupted; the same command with --resume auto continues"));
    const nlohmann::json result = tests::result_of(workshop / "runs/e/latest");
    EXPECT_EQ(result.at("status"), "interrupted");
    char folder[40];
    std::snprintf(folder, sizeof folder, "step-%08lld",
                  static_cast<long long>(result.at("steps").get<std::int64_t>()));
    EXPECT_TRUE(std::filesystem::exists(workshop / "runs/e/latest/checkpoints" / folder));
  }
  const tests::ProcessResult rest = workshop.run(command);
  ASSERT_EQ(rest.code, 0) << ::testing::PrintToString(rest);
  EXPECT_THAT(rest.err, HasSubstr("resuming "));
  EXPECT_EQ(tests::metrics_of(workshop / "whole"), tests::metrics_of(workshop / "runs/e/latest"));
  const std::string last = "step-00000500/state.safetensors";
  EXPECT_TRUE(tests::checkpoint_files(workshop / "whole").at(last) ==
              tests::checkpoint_files(workshop / "runs/e/latest").at(last));

  const tests::ProcessResult again = workshop.run(command);
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("nothing to do: this configuration is finished in "));
}

/// Rewrites the newest checkpoint in the form of older versions, which evaluated an epoch before
/// its checkpoint: no mark, sums of 0, and metrics that include the line of the evaluation.
void evaluate_before(const std::filesystem::path& run, std::int64_t step,
                     std::uint64_t metrics_offset) {
  char name[40];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  const std::filesystem::path folder = run / "checkpoints" / name;
  const auto rewrite = [&](const char* file, const nlohmann::json& json) {
    std::ofstream(folder / file, std::ios::binary) << json.dump(1) << "\n";
  };
  auto state = nlohmann::json::parse(tests::slurp(folder / "state.json"));
  ASSERT_EQ(state.at("loop").at("evaluation_pending"), true);
  state["loop"].erase("evaluation_pending");
  state["loop"]["epoch_loss"] = 0.0;
  state["loop"]["epoch_correct"] = state["loop"]["epoch_images"] = 0;
  rewrite("state.json", state);
  auto manifest = nlohmann::json::parse(tests::slurp(folder / "manifest.json"));
  manifest["notes"]["metrics_offset"] = metrics_offset;
  manifest["files"]["state.json"] = {{"bytes", std::filesystem::file_size(folder / "state.json")},
                                     {"sha256", storage::sha256_file(folder / "state.json")}};
  rewrite("manifest.json", manifest);
}

TEST(Resume, ACheckpointOfAVersionThatEvaluatedFirstGoesOnAsItDid) {
  Runs runs(others.at(0));
  Workshop& workshop = runs.workshop();
  ASSERT_TRUE(workshop.run_dies_at("loop.step:11", runs.command("old")));
  const std::filesystem::path run = workshop / "old";
  ASSERT_EQ(tests::metrics_of(run).size(), 4U);
  evaluate_before(run, 10, std::filesystem::file_size(run / "metrics.jsonl"));
  const tests::ProcessResult rest = workshop.run(runs.command("old"));
  ASSERT_EQ(rest.code, 0) << ::testing::PrintToString(rest);
  EXPECT_THAT(rest.err, HasSubstr(" at step 10 of 15\n"));
  runs.expect_same(run);
}

TEST(LoopState, EveryMemberIsKeptAndCompared) {
  const training::LoopState state = {.step = 7,
                                     .epoch_loss = 1.0 / 3,
                                     .epoch_correct = 11,
                                     .epoch_images = 13,
                                     .best_accuracy = 2.0 / 7,
                                     .best_loss = 1e-17 / 3,
                                     .best_epoch = 17,
                                     .evaluation_pending = true};
  // A new member breaks this line: then add it below and in to_json() and from_json().
  const auto& [step, epoch_loss, correct, images, best_accuracy, best_loss, best_epoch, pending] =
      state;
  (void)step, (void)epoch_loss, (void)correct, (void)images, (void)best_accuracy, (void)best_loss,
      (void)best_epoch, (void)pending;
  EXPECT_EQ(state.to_json().size(), 8U);
  EXPECT_EQ(training::LoopState::from_json(nlohmann::json::parse(state.to_json().dump(1))), state);

  // Each key sets its own member, and each member is compared.
  const nlohmann::json zero = training::LoopState{}.to_json();
  const nlohmann::json full = state.to_json();
  for (const auto& [key, value] : full.items()) {
    nlohmann::json one = zero;
    one[key] = value;
    const training::LoopState changed = training::LoopState::from_json(one);
    EXPECT_FALSE(changed == training::LoopState{}) << key;
    EXPECT_EQ(changed.to_json(), one) << key;
    nlohmann::json without = zero;
    without.erase(key);
    if (key == "evaluation_pending") {  // older checkpoints do not have it
      EXPECT_EQ(training::LoopState::from_json(without), training::LoopState{});
      continue;
    }
    EXPECT_THROW(training::LoopState::from_json(without), nlohmann::json::exception) << key;
  }
}

}  // namespace
}  // namespace qhost
