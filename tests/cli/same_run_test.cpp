// The identity of a run: configuration, data files, initial weights, plugin files.
#include <gmock/gmock.h>

#include "cli/process.h"
#include "common/version.h"
#include "data/gzip_bytes.h"
#include "storage/sha256.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

class SameRun : public ::testing::Test {
 protected:
  void SetUp() override { workshop_.write("e.toml", small_experiment()); }

  ProcessResult run(const Words& more, const std::string& file = "e.toml") {
    Words words = {"run", file};
    words.insert(words.end(), more.begin(), more.end());
    return workshop_.run(words);
  }
  std::string ok(const Words& more, const std::string& file = "e.toml") {
    const ProcessResult result = run(more, file);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return result.err;
  }
  std::string refused(int code, const Words& more, const std::string& file = "e.toml") {
    const ProcessResult result = run(more, file);
    EXPECT_EQ(result.code, code) << ::testing::PrintToString(result);
    EXPECT_EQ(result.out, "");
    return result.err;
  }
  int runs_of(const std::string& name) {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(workshop_ / ("runs/" + name))) {
      if (!entry.is_symlink()) ++count;
    }
    return count;
  }
  json identity(const std::string& run) {
    return json::parse(slurp(workshop_ / (run + "/identity.json")));
  }

  Workshop workshop_;
};

/// The files of fashion_mnist, compressed: black images with a distinct corner each.
class OtherBytes : public SameRun {
 protected:
  static std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  }
  static std::string images(std::uint32_t count, int salt) {
    constexpr std::uint32_t side = 28;
    std::string bytes = big_endian(0x803) + big_endian(count) + big_endian(side) + big_endian(side);
    const std::size_t header = bytes.size();
    bytes.resize(header + std::size_t{count} * side * side);
    for (std::uint32_t i = 0; i < count; ++i) {
      bytes[header + std::size_t{i} * side * side] = static_cast<char>(i * 7 + salt);
    }
    return bytes;
  }
  static std::string labels(std::uint32_t count) {
    std::string bytes = big_endian(0x801) + big_endian(count);
    for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
    return bytes;
  }
  std::string write_set(const std::string& folder, int salt) {
    const std::string place = folder + "/fashion-mnist/";
    const std::string train = images(60000, salt);
    using data::testing::gzip_bytes;
    workshop_.write(place + "train-images-idx3-ubyte.gz", gzip_bytes(train));
    workshop_.write(place + "train-labels-idx1-ubyte.gz", gzip_bytes(labels(60000)));
    workshop_.write(place + "t10k-images-idx3-ubyte.gz", gzip_bytes(images(10000, 0)));
    workshop_.write(place + "t10k-labels-idx1-ubyte.gz", gzip_bytes(labels(10000)));
    return storage::sha256(train);
  }
};

TEST_F(OtherBytes, UnderDataRootAreAnotherRun) {
  const std::string one = write_set("one", 0), other = write_set("other", 1);
  const Words small = {"data.name=fashion_mnist", "data.fraction=0.002", "name=f",
                       "train.evaluation_batch_size=2000"};
  const auto from = [&](const std::string& root, Words more) {
    more.insert(more.begin(), small.begin(), small.end());
    more.push_back("data.root=" + root);
    return more;
  };
  ok(from("one", {"train.max_steps=1", "--run-dir", "r"}));
  EXPECT_EQ(identity("r").at("sha256").at("data/train-images-idx3-ubyte"), one);

  const std::string differs = "\n  SHA-256 of data/train-images-idx3-ubyte: " + one.substr(0, 16) +
                              "... in the run, " + other.substr(0, 16) + "... now\n";
  const std::string text = refused(2, from("other", {"train.max_steps=1", "--resume", "r"}));
  EXPECT_THAT(text, AllOf(HasSubstr("r was begun with another configuration or other files:"),
                          HasSubstr(differs),
                          HasSubstr("help: put those files back, or start a "
                                    "new run without --resume\n")));
  EXPECT_EQ(refused(2, from("other", {"train.max_steps=1", "--run-dir", "r"})), text);

  // A run with another identity is not resumed, and the new run says so.
  ok(from("one", {"train.max_steps=1"}));
  const std::string talk = ok(from("other", {"train.max_steps=1", "--resume", "auto"}));
  EXPECT_THAT(talk, AllOf(HasSubstr("no run of this name is the same; the nearest is "),
                          HasSubstr(differs)));
  EXPECT_EQ(runs_of("f"), 2);
  // The path is not part of the identity: the same bytes elsewhere are the same run.
  fs::rename(workshop_ / "one", workshop_ / "moved");
  EXPECT_THAT(ok(from("moved", {"train.max_steps=1", "--resume", "auto"})),
              HasSubstr("nothing to do"));
  // Missing data cannot be compared: a finished run is still found, with a note.
  EXPECT_THAT(ok(from("gone", {"train.max_steps=1", "--resume", "auto"})),
              AllOf(HasSubstr("the data files cannot be compared with those that the run began "
                              "with: fashion_mnist: the data set is not on this machine"),
                    HasSubstr("nothing to do")));
  EXPECT_EQ(runs_of("f"), 2);

  const ProcessResult evaluated = workshop_.run({"eval", "r"});
  EXPECT_EQ(evaluated.code, 4) << "its data.root is gone";
  fs::rename(workshop_ / "other", workshop_ / "one");
  EXPECT_THAT(workshop_.run({"eval", "r"}).err,
              AllOf(HasSubstr("warning: these are not the files that the run was made with"),
                    HasSubstr(differs)));
}

TEST_F(SameRun, WeightsThatWereTrainedAgainAreAnotherRun) {
  const Words source = {"quantizer.name=none", "name=src", "train.max_steps=3"};
  const Words tuned = {"name=fine", "train.max_steps=3", "train.init_from=runs/src/latest",
                       "--resume", "auto"};
  ok(source);
  ok(tuned);
  EXPECT_THAT(ok(tuned), HasSubstr("nothing to do"));
  Words again = source;
  again.push_back("train.seed=2");
  ok(again);
  EXPECT_THAT(ok(tuned), AllOf(HasSubstr("no run of this name is the same; the nearest is "),
                               HasSubstr("\n  SHA-256 of train.init_from: "),
                               Not(HasSubstr("nothing to do"))));
  EXPECT_EQ(runs_of("fine"), 2);
  const json first = result_of(fs::canonical(workshop_ / "runs/fine/latest"));
  EXPECT_EQ(identity("runs/fine/latest").at("sha256").at("train.init_from"),
            first.at("init_from").at("sha256"));

  // The same weights at another path are the same run, and so is a run without the source.
  const fs::path named = fs::canonical(workshop_ / "runs/src/latest");
  Words by_id = tuned;
  by_id[2] = "train.init_from=" + named.string();
  EXPECT_THAT(ok(by_id), HasSubstr("nothing to do"));
  fs::remove_all(workshop_ / "runs/src");
  EXPECT_THAT(ok(tuned), AllOf(HasSubstr("train.init_from cannot be compared with those that the "
                                         "run began with: cannot open "),
                               HasSubstr("nothing to do")));
}

TEST_F(SameRun, ARunFromBeforeTheHashesCountsAsEqual) {
  ok({"--run-dir", "r"});
  fs::remove(workshop_ / "r/identity.json");
  fs::remove(workshop_ / "r/result.json");
  EXPECT_THAT(ok({"--run-dir", "r"}),
              HasSubstr("this run was begun by a version of qhost that kept no hashes: its data "
                        "files and plugins count as the same\n"));
  EXPECT_EQ(identity("r").at("format"), "qhost identity 1") << "kept from here on";
}

TEST_F(SameRun, ADamagedIdentityIsSaid) {
  ok({"--run-dir", "r"});
  workshop_.write("r/identity.json", "{");
  EXPECT_THAT(refused(6, {"--run-dir", "r"}),
              AllOf(HasSubstr("r/identity.json is damaged: it is no JSON object\nhelp: ")));
}

/// A copy of a plugin in a user folder, which precedes the installation.
class OtherPlugin : public SameRun {
 protected:
  void SetUp() override {
    SameRun::SetUp();
    fs::create_directories(workshop_ / "plugins");
    fs::copy_file(QHOST_BINARY_DIR "/lib/qhost/plugins/bwn.so", file_);
    before_ = storage::sha256_file(file_);
  }
  /// The same code in another file, like a build with another compiler.
  std::string rebuild() {
    std::ofstream(file_, std::ios::binary | std::ios::app) << "another build";
    return storage::sha256_file(file_);
  }
  const fs::path file_ = workshop_ / "plugins/bwn.so";
  const Words with_ = {"--plugin-path", "plugins", "--run-dir", "r"};
  std::string before_;
};

TEST_F(OtherPlugin, IsRefusedByNameAndCanBeAllowed) {
  Words killed = {"run", "e.toml"};
  killed.insert(killed.end(), with_.begin(), with_.end());
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:7", killed));
  EXPECT_EQ(identity("r").at("sha256"), json({{"plugin/bwn", before_}}));

  const std::string now = rebuild();
  const std::string text = refused(2, with_);
  EXPECT_THAT(text, AllOf(HasSubstr("r was begun with other plugin files:\n"
                                    "  SHA-256 of plugin/bwn: " +
                                    before_.substr(0, 16) + "... in the run, " + now.substr(0, 16) +
                                    "... now\n"),
                          HasSubstr("help: put those files back, or go on all the same with "
                                    "--allow-other-plugins, which the result records\n")));
  Words allowed = with_;
  allowed.push_back("--allow-other-plugins");
  EXPECT_THAT(ok(allowed), HasSubstr("warning: other plugin files than this run was begun with:"));
  const std::string sentence =
      "SHA-256 of plugin/bwn: " + before_ + " before, " + now + " since (--allow-other-plugins)";
  EXPECT_EQ(result_of(workshop_ / "r").at("allowed"), json({sentence}));
  // It is asked for once: from now on the run's plugin is this one.
  EXPECT_THAT(ok(with_), HasSubstr("nothing to do"));
  const ProcessResult compared = workshop_.run({"compare", "r", "--plugin-path", "plugins"});
  EXPECT_THAT(compared.out, HasSubstr(sentence));
  const ProcessResult scored =
      workshop_.run({"score", "r", "--rule", "course", "--plugin-path", "plugins"});
  EXPECT_THAT(scored.out + scored.err, HasSubstr(sentence));

  // The option does not allow another configuration.
  Words other = allowed;
  other.push_back("model.depth=14");
  EXPECT_THAT(refused(2, other), HasSubstr("\n  model.depth: 8 in the run, 14 now\n"));
}

TEST_F(OtherPlugin, InTheInstallationInItsPlaceIsOne) {
  Words killed = {"run", "e.toml"};
  killed.insert(killed.end(), with_.begin(), with_.end());
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:7", killed));
  EXPECT_THAT(refused(2, {"--run-dir", "r"}),
              HasSubstr("\n  SHA-256 of plugin/bwn: " + before_.substr(0, 16) +
                        "... in the run, not there now\n"));
}

TEST_F(SameRun, ResultsNameVersionAndCommit) {
  ok({"--run-dir", "r", "train.max_steps=1"});
  const json result = result_of(workshop_ / "r");
  EXPECT_EQ(result.at("qhost"), qhost::version());
  const std::string commit = result.at("commit");
  EXPECT_THAT(commit, ::testing::AnyOf("", ::testing::MatchesRegex("[0-9a-f]+(-dirty)?")));
  const std::string line = workshop_.run({"--version"}).out;
  EXPECT_EQ(line, "qhost " + qhost::version() +
                      (commit.empty() ? std::string()
                                      : " (commit " + commit.substr(0, 12) +
                                            (commit.ends_with("-dirty") ? "-dirty)" : ")")) +
                      "\n");
}

TEST_F(SameRun, WhatIsRefusedLeavesNoDirectory) {
  EXPECT_THAT(refused(6, {"train.init_from=nothing.safetensors"}),
              HasSubstr("nothing.safetensors"));
  EXPECT_THAT(refused(4, {"data.name=cifar10", "data.root=nowhere"}), HasSubstr("nowhere"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

TEST_F(SameRun, LatestMovesWithTheFirstCheckpoint) {
  ok({"train.max_steps=1"});
  const fs::path latest = workshop_ / "runs/e/latest";
  const fs::path first = fs::canonical(latest);
  Words second = {"run", "e.toml", "train.seed=2", "train.checkpoint_every_steps=2"};
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:1", second));
  EXPECT_EQ(runs_of("e"), 2);
  EXPECT_EQ(fs::canonical(latest), first) << "the second has nothing to show yet";
  ASSERT_TRUE(workshop_.run_dies_at("loop.step:3", second));
  EXPECT_EQ(runs_of("e"), 3);
  const fs::path third = fs::canonical(latest);
  EXPECT_NE(third, first);
  // An older run that is resumed does not become `latest`.
  fs::remove(first / "result.json");
  ok({"train.max_steps=1", "--resume", "auto"});
  EXPECT_EQ(fs::canonical(latest), third);
  // After `latest` is deleted, it points to the newest run with a checkpoint or a result.
  fs::remove_all(third);
  EXPECT_EQ(workshop_.run({"eval", "runs/e/latest"}).code, 0);
  EXPECT_EQ(fs::canonical(latest), first);
}

TEST_F(SameRun, AMovedFolderOfRunsPrintsItsOwnPath) {
  ok({"train.max_steps=1"});
  fs::rename(workshop_ / "runs", workshop_ / "elsewhere");
  const ProcessResult again =
      run({"train.max_steps=1", "--runs-dir", "elsewhere", "--resume", "auto", "--json"});
  EXPECT_EQ(again.code, 0) << ::testing::PrintToString(again);
  const fs::path own = fs::canonical(workshop_ / "elsewhere/e/latest");
  EXPECT_EQ(last_json_line(again.out).at("run_dir"), own.string());
  EXPECT_THAT(again.err, HasSubstr("is finished in " + own.string()));
}

}  // namespace
}  // namespace qhost::tests
