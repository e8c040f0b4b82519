// A sweep with a point that fails: the other points run, the table is printed, and the point can be
// repeated.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

/// The checkpoint of the second point is 1.4 MB, those of the others 0.7 MB.
class Sweep : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    workshop_.write("s.toml", small_experiment() +
                                  "[sweep]\npoints = [{label = \"first\"}, {label = \"deep\", "
                                  "model.depth = 14}, {label = \"last\", train.seed = 2}]\n");
  }
  static Words command(const Words& more) {
    Words words = {"run", "s.toml", "train.epochs=1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// Limits the file size, so that only the small networks can be saved.
  ProcessResult in_small_files(const Words& more) {
    return workshop_.run(command(more), {.before = [] {
                           const rlimit limit{1'000'000, 1'000'000};
                           ::setrlimit(RLIMIT_FSIZE, &limit);
                         }});
  }
};

TEST_F(Sweep, GoesOnAfterAPointThatFails) {
  const ProcessResult result = in_small_files({});
  EXPECT_EQ(result.code, 6) << ::testing::PrintToString(result);
  EXPECT_THAT(result.out, ContainsRegex("\nfirst +finished +[0-9.]+ % +1\\.33 +32\\.00 +13,248  "
                                        "runs/s/"));
  EXPECT_THAT(result.out,
              ContainsRegex("\ndeep +failed +- +1\\.[0-9]+ +32\\.00 +[0-9,]+  runs/s/"));
  EXPECT_THAT(result.out, ContainsRegex("\nlast +finished +[0-9.]+ % "));
  EXPECT_THAT(result.out,
              HasSubstr("\n\ndeep failed: the checkpoint of step 5 was not written, and "
                        "there is none before it: "));
  EXPECT_THAT(result.err,
              HasSubstr("\n[2/3 deep] error: the checkpoint of step 5 was not written"));
}

TEST_F(Sweep, SaysOnceWhatHoldsForSeveralPoints) {
  workshop_.write("w.toml",
                  small_experiment() +
                      "[sweep]\npoints = [{label = \"a\"}, {label = \"b\", train.seed = 2}, "
                      "{label = \"c\", train.epochs = 3}, {label = \"d\", train.seed = 3}]\n");
  const std::string err = ok({"run", "w.toml", "train.max_steps=1", "schedule.name=cosine"}).err;
  const std::string warning = "[^\n]*warning: `train.max_steps` = 1 ends the run in epoch 1 of ";
  EXPECT_THAT(err, AllOf(ContainsRegex("\n\\[1/4 a\\] " + warning + "2 "),
                         Not(ContainsRegex("\n\\[2/4 b\\] " + warning)),
                         ContainsRegex("\n\\[3/4 c\\] " + warning + "3 "),
                         Not(ContainsRegex("\n\\[4/4 d\\] " + warning)),
                         ContainsRegex("\nalso for points 2 and 4: " + warning + "2 ")));
}

TEST_F(Sweep, SaysInJsonWhatFailed) {
  const json all = last_json_line(in_small_files({"--json"}).out);
  EXPECT_EQ(all.at("status"), "incomplete");
  ASSERT_EQ(all.at("points").size(), 3U);
  const json& deep = all.at("points")[1];
  EXPECT_EQ(deep.at("status"), "failed");
  EXPECT_EQ(deep.at("label"), "deep");
  EXPECT_EQ(deep.at("exit_code"), 6);
  EXPECT_THAT(deep.at("error").get<std::string>(), HasSubstr("File too large"));
  EXPECT_EQ(result_of(workshop_ / deep.at("run_dir").get<std::string>()), deep);
  EXPECT_EQ(all.at("points")[2].at("status"), "finished");
}

TEST_F(Sweep, ResumeAutoTriesAFailedPointAgainUnlessItIsToBeSkipped) {
  ASSERT_EQ(in_small_files({}).code, 6);
  const ProcessResult left = workshop_.run(command({"--resume", "auto", "--skip-failed"}));
  EXPECT_EQ(left.code, 6) << "the sweep is not complete: " << ::testing::PrintToString(left);
  EXPECT_THAT(left.out, AllOf(ContainsRegex("\ndeep +failed +- "),
                              HasSubstr("\ndeep failed: the checkpoint of step 5 ")));
  EXPECT_THAT(left.err, HasSubstr("[2/3 deep] left as it is: this configuration failed in "));
  EXPECT_THAT(left.err, Not(HasSubstr("epoch 1/1")));

  const ProcessResult again = ok(command({"--resume", "auto"}));
  EXPECT_THAT(again.out,
              AllOf(ContainsRegex("\ndeep +finished +[0-9.]+ % "), Not(HasSubstr("failed"))));
  EXPECT_THAT(again.err,
              AllOf(HasSubstr("[1/3 first] nothing to do: "), HasSubstr("[2/3 deep] epoch 1/1"),
                    HasSubstr("[3/3 last] nothing to do: ")));
}

TEST_F(Sweep, SkipFailedIsForResumeAuto) {
  EXPECT_THAT(refused(command({"--skip-failed"}), 2),
              HasSubstr("error: --skip-failed is about runs that --resume auto finds\nhelp: give "
                        "--resume auto, too"));
  EXPECT_THAT(refused({"run", "e.toml", "--resume", "x", "--skip-failed"}, 2),
              HasSubstr("--skip-failed"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

// A diverged point has a path, but no accuracy, not even 0.
TEST_F(Sweep, ADivergedPointHasItsPathAndItsReason) {
  workshop_.write("d.toml", small_experiment() +
                                "[sweep]\npoints = [{label = \"wild\", optimizer.learning_rate = "
                                "1e30}, {label = \"tame\"}]\n");
  const ProcessResult result = workshop_.run({"run", "d.toml", "train.epochs=1"});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.out, ContainsRegex("\nwild +diverged +- +1\\.33 +32\\.00 +13,248  runs/d/"));
  EXPECT_THAT(result.out, HasSubstr("\n\nwild: the loss is "));
  // It is repeated and diverges again; with --skip-failed it is skipped.
  EXPECT_EQ(workshop_.run({"run", "d.toml", "train.epochs=1", "--resume", "auto"}).code, 5);
  const ProcessResult left =
      workshop_.run({"run", "d.toml", "train.epochs=1", "--resume", "auto", "--skip-failed"});
  EXPECT_EQ(left.code, 5);
  EXPECT_THAT(left.err, HasSubstr("[1/2 wild] left as it is: this configuration diverged in "));
}

TEST_F(Sweep, LabelsAreKeptAndCompared) {
  const json all = last_json_line(ok(command({"model.depth=8", "--json"})).out);
  Words words = {"compare"};
  for (const json& point : all.at("points")) {
    const std::string directory = point.at("run_dir");
    EXPECT_EQ(result_of(workshop_ / directory).at("label"), point.at("label"));
    words.push_back(directory);
  }
  EXPECT_THAT(ok(words).out,
              AllOf(ContainsRegex("^run +label +configuration "),
                    ContainsRegex("\ns/[^ ]+ +first "), ContainsRegex("\ns/[^ ]+ +last ")));
  words.push_back("--json");
  const json compared = json::parse(ok(words).out);
  EXPECT_EQ(compared.at("runs").at(2).at("sweep_label"), "last");
}

}  // namespace
}  // namespace qhost::tests
