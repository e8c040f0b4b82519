// `qhost run --dry-run` finds the errors that the run would find before its first step.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

class DryRun : public CommandLine {
 protected:
  static Words dry(Words words) {
    words.insert(words.begin(), {"run", "--dry-run"});
    return words;
  }
  /// stderr of the dry run. The run itself must end with the same code and contain the same text.
  std::string both(const Words& words, int code, const std::string& text) {
    const std::string found = refused(dry(words), code);
    EXPECT_THAT(found, HasSubstr(text));
    Words real = words;
    real.insert(real.begin(), "run");
    EXPECT_THAT(refused(real, code), HasSubstr(text));
    EXPECT_FALSE(fs::exists(workshop_ / "runs")) << "a run directory was left";
    return found;
  }
};

TEST_F(DryRun, WhatTheRunFindsIsFoundWithItsPlace) {
  both({"e.toml", "augment.crop_padding=30", "augment.padding_mode=reflect"}, 2,
       "command line:1:22: error: `augment.crop_padding`: ");
  both({"e.toml", "augment.cutout=20"}, 2, "command line:1:16: error: `augment.cutout`: ");
  both({"e.toml", "augment.mean=[0.1, 0.2]", "augment.std=[1, 1]"}, 2,
       "command line:1:14: error: `augment.mean`: 2 values for 1 channels");
  both({"e.toml", "train.batch_size=1000", "train.drop_last=true"}, 2,
       "command line:2:17: error: `train.drop_last` drops the only batch: 135 training images are "
       "fewer than train.batch_size = 1000 ");
  both({"e.toml", "data.validation=5000"}, 2,
       "command line:1:17: error: `data.validation`: 5000 validation images leave none of the ");
  both({"e.toml", "train.bn_recalibrate=1", "quantizer.name=ptq_static"}, 2,
       "command line:1:22: error: train.bn_recalibrate = 1: `ptq_static` folds batch norms");
  both({"e.toml", "train.init_from=nowhere"}, 6,
       "command line:1:17: error: `train.init_from`: cannot read ");
}

TEST_F(DryRun, AllFaultsComeAtOnceAndMissingDataLast) {
  const std::string text =
      refused(dry({"e.toml", "data.name=cifar10", "data.root=none", "augment.cutout=400",
                   "train.init_from=nowhere", "train.batch_size=60000", "train.drop_last=true"}),
              2);
  const std::vector<std::string> in_order = {
      "command line:3:16: error: `augment.cutout`: ",
      "command line:6:17: error: `train.drop_last` drops the only batch: 50000 training images are",
      "command line:4:17: error: `train.init_from`: cannot read ",
      "\n\nerror: cifar10: the data set is not on this machine; "};
  std::size_t from = 0;
  for (const std::string& part : in_order) {
    const std::size_t at = text.find(part, from);
    ASSERT_NE(at, std::string::npos) << part << "\nin\n" << text;
    from = at;
  }
}

TEST_F(DryRun, MissingDataAloneIsExitCodeFour) {
  const std::string text = refused(dry({"e.toml", "data.name=cifar10", "data.root=none"}), 4);
  EXPECT_THAT(text, StartsWith("e.toml: 1 run, no problems found, but the data is not "
                               "there\nerror: cifar10: the data set is not on this machine; "));
  EXPECT_THAT(refused(dry({"e.toml", "data.name=cifar10", "data.root=none", "data.fraction=1",
                           "data.validation=60000"}),
                      2),
              AllOf(HasSubstr("60000 validation images leave none of the 50000 training images"),
                    HasSubstr("error: cifar10: the data set is not on this machine")));
}

TEST_F(DryRun, RulesThatAreWrongDoNotHideTheWeights) {
  const std::string text =
      refused(dry({"e.toml", "quantizer.layers=[\"nothing.*\"]", "train.init_from=nowhere"}), 2);
  EXPECT_THAT(text, AllOf(HasSubstr("`nothing.*` matches no layer of this network"),
                          HasSubstr("error: `train.init_from`: cannot read ")));
}

TEST_F(DryRun, EveryPointOfASweepIsChecked) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\npoints = [{label = \"good\"}, {label = \"large\", "
                                "augment.cutout = 20}, {label = \"one\", model.name = \"vgg\", "
                                "train.batch_size = 67}]\n");
  const std::string text = refused(dry({"s.toml"}), 2);
  EXPECT_THAT(text,
              AllOf(HasSubstr("`augment.cutout`: "), HasSubstr("\n  note: in the point large"),
                    HasSubstr("`train.batch_size` = 67: the last batch of an epoch has 1 "),
                    HasSubstr("\n  note: in the point one"), Not(HasSubstr("good"))));
  EXPECT_THAT(refused(dry({"e.toml", "sweep.seeds=[1, 2]", "augment.cutout=30"}), 2),
              AllOf(HasSubstr("`augment.cutout`: "), Not(HasSubstr("in the point"))))
      << "of all points it is said without their labels";
}

TEST_F(DryRun, WarningsAreThoseOfTheRun) {
  const Words doubtful = {"e.toml", "schedule.name=multi_step", "schedule.milestones=[1, 2]",
                          "train.batch_size=500"};
  const std::string late =
      "command line:2:21: warning: `schedule.milestones`: the learning rate does not change at 2: "
      "epochs are counted from 0, and the last of the 2 is 1 [config.schedule]\n";
  const std::string one_step =
      "command line:3:18: warning: `train.batch_size` = 500: the 135 training images make one step "
      "an epoch, 2 in all [config.doubtful]\n";
  const ProcessResult checked = ok(dry(doubtful));
  EXPECT_THAT(checked.err, AllOf(HasSubstr(late), HasSubstr(one_step),
                                 HasSubstr("\ne.toml: 1 run, 2 warnings\n")));
  EXPECT_EQ(checked.out, "");
  Words real = doubtful;
  real.insert(real.begin(), "run");
  EXPECT_THAT(ok(real).err, AllOf(HasSubstr(late), HasSubstr(one_step)));
}

TEST_F(DryRun, TheRunThatIsNamedIsCheckedToo) {
  finished({"run", "e.toml", "train.epochs=1", "--run-dir", "r", "--json"});
  const std::string other = refused(dry({"e.toml", "train.seed=2", "--resume", "r"}), 2);
  EXPECT_THAT(other, AllOf(HasSubstr("was begun with another configuration:"),
                           HasSubstr("\n  train.seed: 1 in the run, 2 now")));
  EXPECT_EQ(other, refused({"run", "e.toml", "train.seed=2", "--resume", "r"}, 2));
  ok(dry({"e.toml", "train.epochs=1", "--resume", "r"}));
  const std::string shorter = refused(dry({"e.toml", "train.epochs=1", "--continue", "r"}), 2);
  EXPECT_EQ(shorter, refused({"run", "e.toml", "train.epochs=1", "--continue", "r"}, 2));
  ok(dry({"e.toml", "train.epochs=2", "--continue", "r"}));
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
  // The note on the nearest run is not a warning.
  finished({"run", "e.toml", "train.epochs=1", "--json"});
  EXPECT_THAT(ok(dry({"e.toml", "train.seed=2", "--resume", "auto"})).err,
              AllOf(HasSubstr("no run of this name is the same; the nearest is "),
                    HasSubstr("\ne.toml: 1 run, no problems found\n")));
}

TEST_F(DryRun, CodesThatTakeMoreBytesThanFloats) {
  EXPECT_THAT(ok(dry({"e.toml", "quantizer.name=ptq_codebook", "quantizer.bits=8",
                      "quantizer.scope=channel"}))
                  .err,
              HasSubstr("warning: `ptq_codebook` stores more bytes than float32 takes, in "));
}

}  // namespace
}  // namespace qhost::tests
