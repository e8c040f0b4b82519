// Warnings of a run before its first step.
#include "jobs/warnings.h"

#include <gmock/gmock.h>

#include <thread>

#include "config/fixtures.h"

namespace qhost::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

class Warnings : public ::testing::Test {
 protected:
  config::Experiment experiment(const std::string& tables, const Words& overrides = {}) {
    file_ = folder_.write("e.toml", config::minimal + tables);
    config::TestCatalog catalog;
    return config::load_experiment_or_throw(file_, overrides, catalog).at(0).experiment;
  }
  std::string warnings(const config::Experiment& one, const jobs::RunFacts& facts = {}) {
    std::string text;
    for (const auto& warning : jobs::warnings_of(one, facts)) {
      EXPECT_EQ(warning.severity, config::Severity::warning);
      EXPECT_FALSE(warning.helps.empty());
      text += config::render(warning);
    }
    const std::string prefix = folder_.path().string() + '/';
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
      text.erase(at, prefix.size());
    }
    return text;
  }
  /// Warnings about the schedule, for 100 images in batches of 10 at a learning rate of 0.1.
  std::string of_schedule(const std::string& schedule, std::int64_t epochs, int max_steps = 0) {
    const std::string text = warnings(
        experiment("[train]\nepochs = " + std::to_string(epochs) +
                   "\nbatch_size = 10\nthreads = 1\nmax_steps = " + std::to_string(max_steps) +
                   "\n[optimizer]\nlearning_rate = 0.1\n[schedule]\n" + schedule),
        {.images = 100});
    if (!text.empty()) {
      EXPECT_THAT(text, HasSubstr(" [config.schedule]\n"));
    }
    return text;
  }

  config::Folder folder_;
  std::filesystem::path file_;
};

TEST_F(Warnings, AnOrdinaryRunHasNone) {
  EXPECT_EQ(of_schedule("name = \"cosine\"\nwarmup_epochs = 5\n", 30), "");
  EXPECT_EQ(of_schedule("name = \"multi_step\"\nmilestones = [10, 29]\n", 30), "");
  EXPECT_EQ(of_schedule("name = \"step\"\nevery = 10\n", 30), "");
  EXPECT_EQ(of_schedule("name = \"exponential\"\nfinal = 0.1\n", 30), "");
  EXPECT_EQ(of_schedule("name = \"one_cycle\"\n", 30), "");
  EXPECT_EQ(of_schedule("name = \"constant\"\n", 30, 7), "");
}

TEST_F(Warnings, MilestonesBehindTheLastEpoch) {
  EXPECT_THAT(of_schedule("name = \"multi_step\"\nmilestones = [10, 30, 40]\n", 30),
              AllOf(StartsWith("e.toml:14:14: warning: `schedule.milestones`: the learning rate "
                               "does not change at 30, 40: epochs are counted from 0, and the last "
                               "of the 30 is 29 [config.schedule]\n"),
                    HasSubstr("  e.toml:6:10:\n"), HasSubstr(" does not go with this\n"),
                    HasSubstr("  help: set milestones below 30, or train.epochs above 40\n")));
}

TEST_F(Warnings, WarmUpThatNeverEnds) {
  EXPECT_THAT(
      of_schedule("name = \"cosine\"\nwarmup_epochs = 5\n", 5),
      AllOf(StartsWith("e.toml:14:17: warning: `schedule.warmup_epochs` = 5: the run has 5 epochs, "
                       "all of them warm-up, so that `cosine` never begins [config.schedule]\n"),
            HasSubstr("  help: set schedule.warmup_epochs below 5, or train.epochs above 5\n")));
  EXPECT_EQ(of_schedule("name = \"cosine\"\nwarmup_epochs = 4.5\n", 5), "");
}

TEST_F(Warnings, AStepScheduleWithoutAStep) {
  EXPECT_THAT(of_schedule("name = \"step\"\n", 10),
              HasSubstr("`schedule.every` = 30: the learning rate never changes in 10 epochs "));
}

TEST_F(Warnings, AFinalRateAboveTheFirst) {
  for (const char* name : {"cosine", "exponential"}) {
    EXPECT_THAT(of_schedule("name = \"" + std::string(name) + "\"\nfinal = 0.5\n", 10),
                AllOf(HasSubstr("`schedule.final` = 0.5 is above optimizer.learning_rate = 0.1: "),
                      HasSubstr("  help: set schedule.final below 0.1\n")));
  }
}

// Ten steps per epoch. cosine, step 25 of 300: 0.1 * (1 + cos(pi * 24 / 300)) / 2 = 0.09843.
TEST_F(Warnings, MaxStepsThatCutsADecayingSchedule) {
  EXPECT_THAT(
      of_schedule("name = \"cosine\"\n", 30, 25),
      AllOf(StartsWith("e.toml:9:13: warning: `train.max_steps` = 25 ends the run in epoch 3 of 30 "
                       "at a learning rate of 0.09843, where `cosine` ends at 2.742e-06 "),
            HasSubstr("  help: set train.epochs = 3, or train.max_steps = 0\n")));
  EXPECT_THAT(of_schedule("name = \"multi_step\"\nmilestones = [10]\n", 30, 100),
              HasSubstr("in epoch 10 of 30 at a learning rate of 0.1, where `multi_step` ends at "
                        "0.01 "));
  EXPECT_EQ(of_schedule("name = \"multi_step\"\nmilestones = [10]\n", 30, 101), "");
  EXPECT_EQ(of_schedule("name = \"cosine\"\n", 30, 300), "") << "the run's own length";
  EXPECT_NE(of_schedule("name = \"one_cycle\"\n", 30, 25), "");
}

TEST_F(Warnings, WithoutAnEpochNothingHasARate) {
  const std::string text = warnings(
      experiment("[train]\nepochs = 0\nthreads = 1\ninit_from = \"x.safetensors\"\n[schedule]\n"
                 "name = \"multi_step\"\nmilestones = [10]\n"));
  EXPECT_EQ(text, "");
}

TEST_F(Warnings, NoEpochAndNoWeights) {
  EXPECT_THAT(warnings(experiment("[train]\nepochs = 0\nthreads = 1\n")),
              StartsWith("e.toml:6:10: warning: `train.epochs` = 0 without train.init_from: the "
                         "network is scored as it is drawn [config.doubtful]\n"));
}

TEST_F(Warnings, OneStepAnEpoch) {
  const std::string tables = "[train]\nepochs = 7\nthreads = 1\nbatch_size = 2000\n";
  EXPECT_THAT(warnings(experiment(tables), {.images = 1347}),
              HasSubstr("warning: `train.batch_size` = 2000: the 1,347 training images make one "
                        "step an epoch, 7 in all [config.doubtful]\n"));
  EXPECT_EQ(warnings(experiment(tables), {.images = 2001}), "");
  EXPECT_EQ(warnings(experiment(tables)), "") << "without the data nobody knows";
}

TEST_F(Warnings, MoreThreadsThanCores) {
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  const auto with = [&](unsigned threads) {
    return warnings(experiment("[train]\nthreads = " + std::to_string(threads) + "\n"));
  };
  EXPECT_EQ(with(cores), "");
  EXPECT_THAT(with(cores + 1), HasSubstr("`train.threads` = " + std::to_string(cores + 1) +
                                         ": this machine has " + std::to_string(cores) + " core"));
}

TEST_F(Warnings, CodesThatTakeMoreThanFloats) {
  report::Summary summary;
  for (const char* name : {"a", "b", "c"}) {
    report::SummaryLayer layer;
    layer.name = name;
    layer.weight_method = "uniform";
    layer.weight_bytes = std::string(name) == "b" ? 576 : 2304;
    layer.float_weight_bytes = 576;
    summary.layers.push_back(layer);
  }
  EXPECT_THAT(
      warnings(experiment("[train]\nthreads = 1\n[quantizer]\nname = \"uniform\"\n"),
               {.summary = &summary}),
      HasSubstr("warning: `uniform` stores more bytes than float32 takes, in a, c: 2,304 in "
                "the place of 576 for a [config.doubtful]\n"));
}

TEST_F(Warnings, RangesOfOneImage) {
  const config::Experiment one =
      experiment("[train]\nthreads = 1\n[calibration]\nbatches = 1\nbatch_size = 1\n");
  EXPECT_THAT(warnings(one, {.images = 1347, .calibrates = true}),
              HasSubstr("`calibration.batch_size` = 1: ranges and corrections come from 1 image"));
  EXPECT_EQ(warnings(one, {.images = 1347}), "") << "no method looks";
}

TEST_F(Warnings, WhereTheFirstWeightsAreFrom) {
  config::TestCatalog catalog;
  const auto source = [&](const std::string& tables) {
    folder_.write("run/resolved.toml", experiment(tables).resolved_toml());
    folder_.write("run/checkpoints/step-00000004/state.safetensors", "");
    return jobs::source_of_weights(
        folder_.path() / "run/checkpoints/step-00000004/state.safetensors", catalog);
  };
  const std::string here = "[train]\nthreads = 1\ninit_from = \"run\"\n";
  const auto same = source(here);
  ASSERT_TRUE(same.has_value());
  EXPECT_EQ(same->method, "");
  EXPECT_EQ(warnings(experiment(here), {.source = same}), "");

  const auto quantized = source(here + "[quantizer]\nname = \"bwn\"\n");
  EXPECT_EQ(quantized->method, "bwn");
  EXPECT_THAT(
      warnings(experiment(here), {.source = quantized}),
      StartsWith("e.toml:7:13: warning: `train.init_from`: latent weights of a bwn run; not "
                 "the network that was scored [config.doubtful]\n"));

  const auto scaled = source(here + "[augment]\nmean = [0.5]\nstd = [0.25]\n");
  EXPECT_THAT(warnings(experiment(here), {.source = scaled}),
              HasSubstr("[augment] normalizes the images otherwise than the run that "
                        "train.init_from names: here the mean and std of digits; there mean [0.5], "
                        "std [0.25] [config.doubtful]\n"));
  const auto raw = source(here + "[augment]\nnormalize = false\n");
  EXPECT_THAT(warnings(experiment(here), {.source = raw}), HasSubstr("; there pixels / 255 "));
  const auto white = source(here + "[augment]\nwhitening = \"gcn_zca\"\n");
  EXPECT_THAT(warnings(experiment(here), {.source = white}),
              HasSubstr("; there whitening gcn_zca, gcn_min_divisor "));
  EXPECT_FALSE(
      jobs::source_of_weights(folder_.path() / "elsewhere.safetensors", catalog).has_value());
}

TEST_F(Warnings, AnotherNormalizationThanThePublishedOne) {
  const jobs::PublishedNormalization there = {
      "there", {0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.201}};
  const auto said = [&](std::vector<double> mean, std::vector<double> deviation) {
    return warnings(experiment(""), {.published = there, .mean = mean, .deviation = deviation});
  };
  EXPECT_EQ(said(there.mean, there.deviation), "");
  EXPECT_EQ(said({0.4914, 0.4824, 0.4467}, {0.2026, 0.1994, 0.2013}), "") << "the third digit";
  EXPECT_EQ(said({}, {}), "") << "whitened, or without the data";
  EXPECT_EQ(said({0.5}, {0.25}), "") << "another number of channels";
  const std::string text = said(there.mean, {0.247, 0.2435, 0.2616});
  EXPECT_THAT(text,
              HasSubstr("warning: [augment] normalizes the images otherwise than there: here mean "
                        "[0.4914, 0.4822, 0.4465], std [0.247, 0.2435, 0.2616]; there mean "
                        "[0.4914, 0.4822, 0.4465], std [0.2023, 0.1994, 0.201] "
                        "[config.doubtful]\n"));
  EXPECT_THAT(text, HasSubstr("help: set augment.mean = [0.4914, 0.4822, 0.4465] and augment.std = "
                              "[0.2023, 0.1994, 0.201]\n"));
}

TEST_F(Warnings, LayersThatAreScoredAsTheyAreDrawn) {
  const std::string tables = "[train]\ninit_from = \"x\"\ninit_except = [\"fc\"]\nthreads = 1\n";
  EXPECT_THAT(
      warnings(experiment(tables + "epochs = 0\n")),
      HasSubstr("`train.init_except` with train.epochs = 0: these layers are scored as they "
                "are drawn"));
  EXPECT_EQ(warnings(experiment(tables + "epochs = 1\n")), "");
}

}  // namespace
}  // namespace qhost::training
