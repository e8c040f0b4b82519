// Run directories: resumed, refused, in use by two processes, damaged, on a full disk.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "cli/process.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

class RunDirectories : public ::testing::Test {
 protected:
  void SetUp() override { workshop_.write("e.toml", small_experiment()); }

  ProcessResult run(const Words& more) {
    Words words = {"run", "e.toml"};
    words.insert(words.end(), more.begin(), more.end());
    return workshop_.run(words);
  }
  std::string ok(const Words& more) {
    const ProcessResult result = run(more);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return result.err;
  }
  std::string refused(int code, const Words& more) {
    const ProcessResult result = run(more);
    EXPECT_EQ(result.code, code) << ::testing::PrintToString(result);
    EXPECT_EQ(result.out, "");
    return result.err;
  }
  int runs_of_e() {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(workshop_ / "runs/e")) {
      if (!entry.is_symlink()) ++count;
    }
    return count;
  }

  Workshop workshop_;
};

TEST_F(RunDirectories, AChangedConfigurationIsRefusedKeyByKey) {
  ok({"--run-dir", "r"});
  const auto before = checkpoint_files(workshop_ / "r");
  const std::string expected = "error: " + (workshop_ / "r").string() +
                               " was begun with another configuration:\n"
                               "  model.depth: 8 in the run, 14 now\n"
                               "  optimizer.learning_rate: 0.1 in the run, 0.2 now\n"
                               "  train.epochs: 2 in the run, 3 now\n"
                               "help: give the same values, or start a new run without --resume\n";
  const Words changes = {"train.epochs=3", "optimizer.learning_rate=0.2", "model.depth=14"};
  Words words = changes;
  words.insert(words.end(), {"--run-dir", "r"});
  EXPECT_EQ(refused(2, words), expected);
  words = changes;
  words.insert(words.end(), {"--resume", "r"});
  EXPECT_EQ(refused(2, words), expected);
  EXPECT_TRUE(checkpoint_files(workshop_ / "r") == before);

  EXPECT_THAT(refused(2, {"quantizer.name=none", "--run-dir", "r"}),
              HasSubstr("\n  quantizer.0.name: \"bwn\" in the run, not there now\n"));
  // Keys that cannot change a result may differ.
  EXPECT_THAT(ok({"train.keep_checkpoints=5", "train.progress_every=2", "--run-dir", "r"}),
              HasSubstr("nothing to do: this configuration is finished in "));
}

TEST_F(RunDirectories, ResumeAutoTellsConfigurationsApart) {
  ok({});
  ok({"--resume", "auto"});
  EXPECT_EQ(runs_of_e(), 1);
  ok({"--resume", "auto", "train.seed=2"});
  EXPECT_EQ(runs_of_e(), 2);
  // The older of the two is still found.
  EXPECT_THAT(ok({"--resume", "auto"}), HasSubstr("nothing to do"));
  EXPECT_EQ(runs_of_e(), 2);
  // Without --resume, a run is always new.
  ok({});
  EXPECT_EQ(runs_of_e(), 3);
}

// It may be the run that is wanted: a new one in silence could cost days.
TEST_F(RunDirectories, ResumeAutoSaysWhichRunItCannotRead) {
  ok({"--run-dir", "runs/e/20260101T000000Z-000001"});
  ok({"--run-dir", "runs/e/20260101T000000Z-000002"});
  const auto passed_over = [](const std::string& run, const std::string& why) {
    return HasSubstr("warning: runs/e/" + run +
                     " is passed over, since it cannot be read: runs/e/" + run + why);
  };
  const std::string older = "20260101T000000Z-000001", newer = "20260101T000000Z-000002";
  const fs::path runs = workshop_ / "runs/e";
  std::ofstream(runs / newer / "resolved.toml", std::ios::app) << "\n[model\n";
  const std::string found = ok({"--resume", "auto"});
  EXPECT_THAT(found, passed_over(newer, "/resolved.toml:"));
  EXPECT_THAT(found, HasSubstr("nothing to do: this configuration is finished in " +
                               (runs / older).string()));

  fs::remove(runs / newer / "resolved.toml");  // its checkpoints are there
  std::ofstream(runs / older / "identity.json") << "{";
  const std::string anew = ok({"--resume", "auto"});
  EXPECT_THAT(anew, passed_over(newer, " is no run directory: it has no resolved.toml\n"));
  EXPECT_THAT(anew, passed_over(older, "/identity.json is damaged: it is no JSON object\n"));
  EXPECT_THAT(anew, HasSubstr("run directory: runs/e/"));
  EXPECT_EQ(runs_of_e(), 3);
}

TEST_F(RunDirectories, ResumeOfWhatIsNoRun) {
  EXPECT_THAT(refused(2, {"--resume", "nothing"}),
              StartsWith("error: there is no run at nothing: No such file or directory\nhelp: "));
  fs::create_directories(workshop_ / "photos");
  EXPECT_THAT(refused(2, {"--resume", "photos"}),
              AllOf(StartsWith("error: photos is not a run directory: "), HasSubstr("\nhelp: ")));
  EXPECT_THAT(refused(2, {"--run-dir", "photos"}), HasSubstr("is not a run directory"));
  EXPECT_TRUE(fs::is_empty(workshop_ / "photos"));
  workshop_.write("s.toml",
                  small_experiment() + "[sweep]\npoints = [{train.seed = 1}, {train.seed = 2}]\n");
  for (const char* option : {"--run-dir", "--resume"}) {
    const ProcessResult result = workshop_.run({"run", "s.toml", option, "r"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, AllOf(HasSubstr("s.toml is a sweep"), HasSubstr("\nhelp: --r")));
  }
}

TEST_F(RunDirectories, TwoProcessesOnOne) {
  const Words long_run = {"run", "e.toml", "train.epochs=100000", "train.evaluate_every=100000"};
  Words first = long_run;
  first.insert(first.end(), {"--resume", "auto"});
  Workshop::Child holder = workshop_.start(first);
  const fs::path latest = workshop_ / "runs/e/latest";
  ASSERT_TRUE(holder.wait_until([&] { return fs::exists(latest / "resolved.toml"); }));

  for (const Words& how : std::vector<Words>{
           {"--resume", "auto"}, {"--resume", "runs/e/latest"}, {"--run-dir", "runs/e/latest"}}) {
    Words second = long_run;
    second.insert(second.end(), how.begin(), how.end());
    const ProcessResult result = workshop_.run(second);
    EXPECT_EQ(result.code, 2) << ::testing::PrintToString(result);
    EXPECT_THAT(result.err, AllOf(StartsWith("error: the run "),
                                  HasSubstr(" is in use by process " +
                                            std::to_string(holder.pid()) + " on host "),
                                  HasSubstr("\nhelp: wait for it, stop it, or start another")));
  }
  EXPECT_EQ(runs_of_e(), 1);
  EXPECT_TRUE(holder.running());
  // The kernel releases the lock with the process: no file has to be removed by hand.
  holder.signal(SIGKILL);
  EXPECT_EQ(holder.wait().signal, SIGKILL);
  Workshop::Child next = workshop_.start(first);
  const auto lines = [&] { return metrics_of(latest).size(); };
  const std::size_t before = lines();
  EXPECT_TRUE(next.wait_until([&] { return lines() > before + 1; }));
  next.signal(SIGTERM);
  EXPECT_EQ(next.wait().code, 75);
  EXPECT_EQ(runs_of_e(), 1);
}

TEST_F(RunDirectories, ADamagedNewestCheckpointIsNamedAndTheOneBeforeUsed) {
  const Words three = {"train.epochs=3", "train.keep_checkpoints=3", "--run-dir"};
  const auto in = [&](const std::string& directory) {
    Words words = three;
    words.push_back(directory);
    return words;
  };
  ok(in("whole"));
  Words killed = {"run", "e.toml"};
  for (const std::string& word : in("r")) killed.push_back(word);
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:12", killed));

  const fs::path newest = workshop_ / "r/checkpoints/step-00000010";
  std::string bytes = slurp(newest / "state.safetensors");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  workshop_.write("r/checkpoints/step-00000010/state.safetensors", bytes);
  // Evaluation reports it too, and uses the checkpoint before.
  const ProcessResult evaluated = workshop_.run({"eval", "r"});
  EXPECT_EQ(evaluated.code, 0);
  EXPECT_THAT(evaluated.err, HasSubstr("checkpoint step-00000010 is damaged: "));
  EXPECT_THAT(evaluated.out, HasSubstr("/step-00000005\n"));

  const std::string talk = ok(in("r"));
  EXPECT_THAT(talk,
              AllOf(HasSubstr("checkpoint step-00000010 is damaged: "),
                    HasSubstr("state.safetensors: has SHA-256 "),
                    HasSubstr("; step-00000005 is used instead\n"),
                    HasSubstr("\nresuming " + (workshop_ / "r").string() + " at step 5 of 15\n")));
  EXPECT_TRUE(checkpoint_files(workshop_ / "r") == checkpoint_files(workshop_ / "whole"));
  EXPECT_EQ(metrics_of(workshop_ / "r"), metrics_of(workshop_ / "whole"));
}

TEST_F(RunDirectories, WithoutAnySoundCheckpointARunDoesNotStartAnew) {
  ok({"--run-dir", "r"});
  fs::remove(workshop_ / "r/result.json");
  for (const char* step : {"step-00000005", "step-00000010"}) {
    fs::resize_file(workshop_ / "r/checkpoints" / step / "state.safetensors", 1000);
  }
  const std::string text = refused(6, {"--run-dir", "r"});
  EXPECT_THAT(text,
              AllOf(StartsWith("error: no checkpoint in "), HasSubstr("step-00000005 is damaged: "),
                    HasSubstr("step-00000010 is damaged: "),
                    HasSubstr("state.safetensors: has 1000 bytes, its manifest says "),
                    HasSubstr("\nhelp: restore one from a backup")));
  EXPECT_TRUE(fs::exists(workshop_ / "r/checkpoints/step-00000005"));
}

/// The folder of a run on a file system with room for two checkpoints of 0.7 MB, but not for three.
class FullDisk : public RunDirectories {
 protected:
  void SetUp() override {
    RunDirectories::SetUp();
    fs::create_directories(disk_);
    if (::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=1700k") != 0) {
      GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(disk_.c_str(), MNT_DETACH);
  }
  fs::path disk_ = workshop_ / "disk";
  bool mounted_ = false;
};

TEST_F(FullDisk, KeepsTheCheckpointBeforeSaysSoAndCanBeMadeUpFor) {
  const Words four = {"train.epochs=4", "train.keep_checkpoints=9", "--run-dir"};
  const auto in = [&](const std::string& directory) {
    Words words = four;
    words.push_back(directory);
    return words;
  };
  ok(in("whole"));
  const std::string text = refused(6, in("disk/r"));
  for (const char* step : {"15", "20"}) {
    EXPECT_THAT(text, HasSubstr("\nthe checkpoint of step " + std::string(step) +
                                " was not written; the one of step 10 is kept and the run goes "
                                "on:\n"
                                "  cannot write " +
                                (disk_ / "r").string()));
  }
  EXPECT_THAT(text,
              AllOf(HasSubstr(": No space left on device\n  wanted "), HasSubstr("\nepoch 4/4  "),
                    HasSubstr("\nerror: the run is over but its last checkpoint could not "
                              "be written: "),
                    HasSubstr("\nhelp: make room and run the same command with --resume")));
  EXPECT_TRUE(fs::exists(disk_ / "r/checkpoints/step-00000010/manifest.json"));
  EXPECT_FALSE(fs::exists(disk_ / "r/checkpoints/step-00000015"));
  const json failed = result_of(disk_ / "r");
  EXPECT_EQ(failed.at("status"), "failed");
  EXPECT_THAT(failed.at("error").get<std::string>(),
              StartsWith("the run is over but its last checkpoint could not be written: "));

  // With more room, the same command gives the same bits as an undisturbed run.
  ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  EXPECT_THAT(ok(in("disk/r")), HasSubstr(" at step 10 of 20\n"));
  EXPECT_TRUE(checkpoint_files(disk_ / "r") == checkpoint_files(workshop_ / "whole"));
  EXPECT_EQ(metrics_of(disk_ / "r"), metrics_of(workshop_ / "whole"));
}

TEST_F(FullDisk, BeforeTheFirstCheckpointStopsTheRunAndTheResultSaysWhy) {
  ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT, "size=500k"), 0);
  const std::string text = refused(6, {"--run-dir", "disk/r"});
  EXPECT_THAT(text, AllOf(HasSubstr("\nerror: the checkpoint of step 5 was not written, and there "
                                    "is none before it: the run stops, since whatever ended it "
                                    "later would take all of it\n  cannot write "),
                          HasSubstr(": No space left on device\n  wanted "),
                          HasSubstr("\nhelp: free some space"), Not(HasSubstr("epoch 1/2  "))));
  const json failed = result_of(disk_ / "r");
  EXPECT_EQ(failed.at("status"), "failed");
  EXPECT_EQ(failed.at("exit_code"), 6);
  EXPECT_THAT(failed.at("error").get<std::string>(), HasSubstr("there is none before it"));

  ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  ok({"--run-dir", "disk/r"});
  EXPECT_EQ(result_of(disk_ / "r").at("status"), "finished");
}

// Needs no mount: the file size limit of a shell, with the default action of its signal.
TEST_F(RunDirectories, AFileSizeLimitIsAFullDisk) {
  const ProcessResult result = workshop_.run({"run", "e.toml", "--run-dir", "r"}, {.before = [] {
                                               const rlimit limit{100'000, 100'000};
                                               ::setrlimit(RLIMIT_FSIZE, &limit);
                                             }});
  EXPECT_EQ(result.code, 6) << ::testing::PrintToString(result);
  EXPECT_THAT(result.err, AllOf(HasSubstr("\nerror: the checkpoint of step 5 was not written, and "
                                          "there is none before it: the run stops"),
                                HasSubstr("step-00000005/state.safetensors: File too large\n"),
                                Not(HasSubstr("\nepoch "))));
  EXPECT_EQ(result_of(workshop_ / "r").at("status"), "failed");
  EXPECT_THAT(ok({"--run-dir", "r"}), HasSubstr("epoch 1/2  "));
}

TEST_F(RunDirectories, AFolderThatCannotBeMade) {
  workshop_.write("file", "in the way");
  EXPECT_THAT(refused(6, {"--runs-dir", "file"}), HasSubstr("cannot create "));
  EXPECT_THAT(refused(6, {"--run-dir", "file/r"}), HasSubstr("cannot create "));
}

}  // namespace
}  // namespace qhost::tests
