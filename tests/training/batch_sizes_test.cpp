// The number of images per batch, and the batches that are too small for a batch norm.
#include "training/batch_sizes.h"

#include <gmock/gmock.h>

#include "config/fixtures.h"
#include "qhost/graph.h"

namespace qhost::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

/// A batch norm over the positions of an image, and one over features.
Graph network(bool features = true) {
  GraphBuilder g;
  Value x = g.input(Shape{{1, 8, 8}});
  x = g.batch_norm("over_image", g.conv2d("conv", x, {.out_channels = 4, .padding = 1}));
  x = g.global_average_pool("pool", x);
  if (features) x = g.batch_norm("over_features", x);
  return g.finish(g.linear("fc", x, {.out_features = 10}), 10);
}

class Batches : public ::testing::Test {
 protected:
  config::Experiment experiment(const Words& overrides) {
    file_ = folder_.write("e.toml", config::minimal + "[train]\nepochs = 2\n");
    config::TestCatalog catalog;
    return config::load_experiment_or_throw(file_, overrides, catalog).at(0).experiment;
  }
  /// The errors, each as rendered; "" for none.
  std::string faults(std::int64_t images, const Words& overrides, const BatchUses& uses,
                     bool features = true) {
    const config::Experiment one = experiment(overrides);
    std::string text;
    for (const auto& fault : batch_faults(one, network(features), images, uses)) {
      EXPECT_EQ(fault.severity, config::Severity::error);
      EXPECT_EQ(fault.code, "config.batch-size");
      text += config::render(fault);
    }
    return text;
  }
  std::string training(std::int64_t images, Words overrides, bool features = true) {
    return faults(images, overrides, {.training = true}, features);
  }

  config::Folder folder_;
  std::filesystem::path file_;
};

// 1347 = 2 x 673 + 1.
TEST_F(Batches, ALastBatchOfOneImageIsNamedWithItsNodeAndWhatToDo) {
  EXPECT_THAT(
      training(1347, {"train.batch_size=673"}),
      AllOf(StartsWith("command line:1:18: error: `train.batch_size` = 673: the last batch of an "
                       "epoch has 1 image (1347 = 2 x 673 + 1); batch norm `over_features` has a "
                       "single value per channel there, which has no variance "
                       "[config.batch-size]\n"),
            HasSubstr("\n  help: set train.drop_last = true, or train.batch_size = 672\n")));
  EXPECT_EQ(training(1347, {"train.batch_size=672"}), "") << "leaves a batch of 3";
  EXPECT_EQ(training(1347, {"train.batch_size=673", "train.drop_last=true"}), "");
  EXPECT_EQ(training(1346, {"train.batch_size=673"}), "") << "two whole batches";
  EXPECT_EQ(training(1347, {"train.batch_size=673"}, /*features=*/false), "")
      << "one image has 64 values in each channel of the other batch norm";
}

TEST_F(Batches, AStepThatTheRunDoesNotComeToDoesNotCount) {
  EXPECT_EQ(training(1347, {"train.batch_size=673", "train.max_steps=2"}), "");
  EXPECT_NE(training(1347, {"train.batch_size=673", "train.max_steps=3"}), "");
  EXPECT_NE(training(1, {"train.batch_size=673", "train.max_steps=1"}), "");
}

TEST_F(Batches, ABatchSizeOfOneIsNoMatterOfTheLastBatch) {
  for (const char* drop : {"train.drop_last=true", "train.drop_last=false"}) {
    EXPECT_THAT(training(1347, {"train.batch_size=1", drop}),
                AllOf(HasSubstr("`train.batch_size` = 1: each batch has 1 image; batch norm "),
                      HasSubstr("  help: set train.batch_size = 3\n")))
        << "1347 is odd: 2 would leave one image";
  }
  EXPECT_THAT(training(1346, {"train.batch_size=1"}),
              HasSubstr("help: set train.batch_size = 2\n"));
}

TEST_F(Batches, ASetOfOneImageHasNoOtherBatchSize) {
  EXPECT_THAT(training(1, {"train.batch_size=32"}),
              AllOf(HasSubstr("the training set has 1 image; "),
                    HasSubstr("help: keep more training images (data.fraction, data.classes, "
                              "data.validation)\n")));
}

TEST_F(Batches, SeveralBatchNormsAreCounted) {
  GraphBuilder g;
  Value x = g.flatten("flat", g.input(Shape{{1, 2, 2}}));
  for (const char* name : {"a", "b", "c"}) x = g.batch_norm(name, x);
  const Graph graph = g.finish(g.linear("fc", x, {.out_features = 2}), 2);
  const auto faults =
      batch_faults(experiment({"train.batch_size=1"}), graph, 10, {.training = true});
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_THAT(faults[0].message, HasSubstr("batch norm `a` (and 2 more) has"));
}

// A convolution may also leave a single position.
TEST_F(Batches, AnImageOfOnePositionIsLikeFeatures) {
  GraphBuilder g;
  Value x = g.conv2d("conv", g.input(Shape{{1, 3, 3}}), {.out_channels = 4});
  x = g.flatten("flat", g.batch_norm("bn", x));
  const Graph graph = g.finish(g.linear("fc", x, {.out_features = 2}), 2);
  EXPECT_EQ(batch_faults(experiment({"train.batch_size=3"}), graph, 10, {.training = true}).size(),
            1U);
}

TEST_F(Batches, DropLastThatLeavesNoBatch) {
  const std::string text = training(100, {"train.batch_size=128", "train.drop_last=true"});
  EXPECT_THAT(text, StartsWith("command line:2:17: error: `train.drop_last` drops the only batch: "
                               "100 training images are fewer than train.batch_size = 128 "));
  EXPECT_THAT(text, HasSubstr("help: set train.drop_last = false, or a train.batch_size of at most "
                              "100\n"));
  EXPECT_EQ(training(128, {"train.batch_size=128", "train.drop_last=true"}), "");
}

TEST_F(Batches, CalibrationOfAnUntrainedNetwork) {
  const BatchUses uses{.calibration = true};
  EXPECT_THAT(faults(1347, {"calibration.batch_size=1"}, uses),
              AllOf(StartsWith("command line:1:24: error: `calibration.batch_size` = 1: each batch "
                               "has 1 image; the batch norms of an untrained network take their "
                               "statistics from it, and batch norm `over_features` has a single "),
                    HasSubstr("  help: set calibration.batch_size = 3\n"),
                    HasSubstr("  help: a trained network (train.init_from) has statistics of its "
                              "own\n")));
  const std::string rest = faults(97, {"calibration.batch_size=32", "calibration.batches=4"}, uses);
  EXPECT_THAT(rest, HasSubstr("the last batch has 1 image (97 = 3 x 32 + 1); "));
  EXPECT_THAT(rest, HasSubstr("help: set calibration.batches = 3, or calibration.batch_size = 31"));
  EXPECT_EQ(faults(97, {"calibration.batch_size=32", "calibration.batches=3"}, uses), "");
}

TEST_F(Batches, RecalibrationTakesWholeBatches) {
  const BatchUses uses{.recalibration = true};
  EXPECT_EQ(faults(1347, {"train.bn_recalibrate=9", "train.batch_size=673"}, uses), "");
  EXPECT_THAT(faults(1346, {"train.bn_recalibrate=4", "train.batch_size=1"}, uses),
              AllOf(StartsWith("command line:1:22: error: `train.bn_recalibrate` = 4: its batches "
                               "have 1 image, as train.batch_size = 1 says; "),
                    HasSubstr("help: set train.batch_size = 2, or train.bn_recalibrate = 0\n")));
}

TEST_F(Batches, WhatARunUses) {
  const auto uses = [&](const Words& overrides, bool observers) {
    const BatchUses found = batch_uses(experiment(overrides), observers);
    return std::string(found.training ? "t" : "") + (found.calibration ? "c" : "") +
           (found.recalibration ? "r" : "");
  };
  EXPECT_EQ(uses({}, false), "t");
  EXPECT_EQ(uses({"train.epochs=0", "train.bn_recalibrate=2"}, true), "cr");
  EXPECT_EQ(uses({"train.epochs=0", "train.init_from=x.safetensors"}, true), "")
      << "running statistics";
}

TEST_F(Batches, AllFaultsAreThrownAtOnce) {
  const config::Experiment one =
      experiment({"train.batch_size=1", "train.bn_recalibrate=1", "calibration.batch_size=1"});
  try {
    require_batches(one, network(), 10,
                    {.training = true, .calibration = true, .recalibration = true});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("`train.batch_size` = 1"), HasSubstr("`train.bn_recalibrate` = 1"),
                      HasSubstr("`calibration.batch_size` = 1")));
  }
}

}  // namespace
}  // namespace qhost::training
