// `augment.whitening`: every command that reads the images whitens them in the same way.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = Workshop::Words;

class Whitened : public CommandLine {
 protected:
  void SetUp() override {
    workshop_.write("e.toml", small_experiment() +
                                  "[augment]\nwhitening = \"gcn_zca\"\nzca_filter_bias = 0.5\n"
                                  "crop_padding = 1\nflip = true\n");
  }
};

TEST_F(Whitened, EvalGivesTheRunsOwnFigures) {
  const json line = finished(
      {"run", "e.toml", "data.fraction=1", "data.validation=100", "quantizer.name=none", "--json"});
  EXPECT_GT(line.at("test_accuracy").get<double>(), 0.3);  // chance is 0.1
  const json again = json::parse(ok({"eval", "runs/e/latest", "--json"}).out);
  EXPECT_EQ(again.at("test_accuracy"), line.at("test_accuracy"));
  EXPECT_EQ(again.at("test_loss"), line.at("test_loss"));
  EXPECT_EQ(again.at("per_class"), line.at("test_per_class"));
  const json chosen =
      json::parse(ok({"eval", "runs/e/latest", "--split", "validation", "--json"}).out);
  EXPECT_EQ(chosen.at("validation_accuracy"), line.at("validation_accuracy"));

  // These are not the images of a run without whitening.
  const json other = finished({"run", "e.toml", "data.fraction=1", "data.validation=100",
                               "quantizer.name=none", "augment.whitening=none", "--json"});
  EXPECT_NE(other.at("test_loss"), line.at("test_loss"));
}

TEST_F(Whitened, QuantizeCalibratesAndEvaluatesOnWhitenedImages) {
  const json source = finished({"run", "e.toml", "quantizer.name=none", "name=float", "--json"});
  const json quantized =
      finished({"quantize", "runs/float/latest", "ptq_static", "calibration.batches=2", "--json"});
  EXPECT_EQ(quantized.at("float_test_accuracy"), source.at("test_accuracy"));
  EXPECT_EQ(quantized.at("float_test_loss"), source.at("test_loss"));
  const json again =
      json::parse(ok({"eval", quantized.at("run_dir").get<std::string>(), "--json"}).out);
  EXPECT_EQ(again.at("test_loss"), quantized.at("test_loss"));
}

TEST_F(Whitened, TheFitIsKeptInTheUsersCache) {
  const json line = finished({"run", "e.toml", "--json"});
  const fs::path cache = workshop_ / "home/.cache/qhost";
  const auto files = [&] {
    return std::distance(fs::directory_iterator(cache), fs::directory_iterator());
  };
  EXPECT_EQ(files(), 1);
  const json again = json::parse(ok({"eval", "runs/e/latest", "--json"}).out);
  EXPECT_EQ(again.at("test_loss"), line.at("test_loss"));
  EXPECT_EQ(files(), 1);

  workshop_.write(fs::relative(fs::directory_iterator(cache)->path(), workshop_.path()), "damaged");
  const ProcessResult damaged = ok({"eval", "runs/e/latest", "--json"});
  EXPECT_THAT(damaged.err,
              StartsWith("note: the whitening kept by an earlier start cannot be used, "
                         "and is fitted again: "));
  EXPECT_EQ(json::parse(damaged.out).at("test_loss"), line.at("test_loss"));

  workshop_.write("file", "");
  const ProcessOptions nowhere = {
      .environment = {{"XDG_CACHE_HOME", (workshop_ / "file").string()}}, .before = {}};
  const ProcessResult run = workshop_.run({"run", "e.toml", "--json"}, nowhere);
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.err, HasSubstr("the whitening cannot be kept for the next start, which will fit "
                                 "it again: cannot make "));
  EXPECT_EQ(last_json_line(run.out).at("test_loss"), line.at("test_loss"));
}

TEST_F(Whitened, QuantizeSaysWhatWentWrongWithTheData) {
  ok({"run", "e.toml", "quantizer.name=none", "name=float"});
  const fs::path cache = workshop_ / "home/.cache/qhost";
  workshop_.write(fs::relative(fs::directory_iterator(cache)->path(), workshop_.path()), "damaged");
  EXPECT_THAT(
      ok({"quantize", "runs/float/latest", "bwn"}).err,
      HasSubstr("note: the whitening kept by an earlier start cannot be used, and is fitted "
                "again: "));
}

TEST_F(Whitened, AKilledRunEndsInTheSameBits) {
  ok({"run", "e.toml", "train.checkpoint_every_steps=2", "--run-dir", "whole"});
  const Words part = {"run", "e.toml", "train.checkpoint_every_steps=2", "--run-dir", "part"};
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:3", part));
  ok(part);
  EXPECT_TRUE(checkpoint_files(workshop_ / "whole") == checkpoint_files(workshop_ / "part"));
}

TEST_F(Whitened, WhatDoesNotGoWithItIsShownWithItsLine) {
  const ProcessResult both =
      workshop_.run({"run", "e.toml", "augment.mean=[0.5]", "augment.std=[0.2]"});
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("`augment.mean`: whitened images are not normalized by channel"));
  EXPECT_THAT(both.err, HasSubstr("`augment.std`: whitened images are not normalized by channel"));
  EXPECT_THAT(both.err, HasSubstr("help: take it out, or set whitening = \"none\""));

  const ProcessResult bias = workshop_.run({"run", "e.toml", "augment.zca_filter_bias=1e-30"});
  EXPECT_EQ(bias.code, 2);
  EXPECT_THAT(bias.err, HasSubstr("`augment.zca_filter_bias`: 1e-30 leaves a variance of "));

  const ProcessResult one =
      workshop_.run({"run", "e.toml", "data.validation=1346", "data.fraction=1"});
  EXPECT_EQ(one.code, 4);
  EXPECT_THAT(one.err, HasSubstr("whitening: a covariance needs 2 training images, there are 1"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/e/latest"));
}

}  // namespace
}  // namespace qhost::tests
