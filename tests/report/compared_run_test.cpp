#include "report/compared_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "qhost/error.h"
#include "report/no_plugins.h"
#include "runs/run_directory.h"

namespace qhost::report {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

const std::string resolved = R"(name = "mine"

[data]
name = "digits"
root = "/somewhere"
fraction = 0.5

[model]
name = "resnet"
depth = 8

[quantizer]
name = "bwn"
layers = ["*"]

[train]
seed = 7
keep_checkpoints = 9

[optimizer]
name = "sgd"
learning_rate = 0.1
)";

class LoadRuns : public ::testing::Test {
 protected:
  LoadRuns() {
    std::string pattern = (fs::temp_directory_path() / "qhost-compare-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = fs::canonical(pattern);
  }
  ~LoadRuns() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  fs::path write(const fs::path& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << text;
    return (root_ / name).parent_path();
  }
  fs::path finished(const std::string& name) {
    write(fs::path(name) / "resolved.toml", resolved);
    return write(fs::path(name) / "result.json", R"({"status": "finished", "test_accuracy": 0.5})");
  }
  void expect_refused(ErrorKind kind, const std::vector<fs::path>& runs,
                      const std::vector<std::string>& parts) {
    try {
      load(runs);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
  std::vector<ComparedRun> load(const std::vector<fs::path>& runs) {
    NoPlugins catalog;
    return load_runs(runs, catalog);
  }
  fs::path root_;
};

TEST_F(LoadRuns, KeysAreThoseThatCanChangeAResult) {
  const auto keys = load({finished("mine/one")})[0].keys;
  EXPECT_EQ(keys.at("train.seed"), "7");
  EXPECT_EQ(keys.at("data.fraction"), "0.5");
  EXPECT_EQ(keys.at("model.depth"), "8");
  EXPECT_EQ(keys.at("quantizer.0.name"), "\"bwn\"");
  EXPECT_EQ(keys.at("quantizer.0.layers"), "[\"*\"]");
  for (const char* left_out : {"name", "data.root", "train.keep_checkpoints"}) {
    EXPECT_THAT(keys, Not(Contains(Key(left_out)))) << left_out;
  }
}

// An option that came later means its default in the runs before it.
TEST_F(LoadRuns, AnAbsentKeyHasItsDefault) {
  const auto with = [&](const std::string& name, const std::string& line) {
    return load({write(fs::path(name) / "resolved.toml", resolved + line)})[0].keys;
  };
  const auto keys = with("a/1", "");
  EXPECT_THAT(keys, Contains(Pair("optimizer.momentum", "0.9")));
  EXPECT_THAT(keys, Contains(Pair("data.validation", "0")));
  EXPECT_THAT(keys, Contains(Pair("augment.flip", "false")));
  EXPECT_EQ(keys, with("a/2", "momentum = 0.9\n"));
  EXPECT_NE(keys, with("a/3", "momentum = 0.8\n"));
}

TEST_F(LoadRuns, RulesAreNumberedAndFloatIsNamed) {
  const std::string network = "[data]\nname = \"digits\"\n[model]\nname = \"resnet\"\n";
  const auto two =
      load({write("a/1/resolved.toml", network + "[[quantizer]]\nname = \"bwn\"\n[[quantizer]]\n"
                                                 "name = \"uniform\"\nbits = 4\n")})[0]
          .keys;
  EXPECT_EQ(two.at("quantizer.0.name"), "\"bwn\"");
  EXPECT_EQ(two.at("quantizer.1.bits"), "4");
  const auto none = load({write("a/2/resolved.toml", network)})[0].keys;
  EXPECT_EQ(none.at("quantizer.0.name"), "\"none\"");
}

TEST_F(LoadRuns, AConfigurationThatIsNoToml) {
  const fs::path run = write("a/1/resolved.toml", "[model\n");
  expect_refused(ErrorKind::configuration, {run}, {(run / "resolved.toml").string() + ":1:"});
}

TEST_F(LoadRuns, ReadsResultAndConfiguration) {
  const fs::path run = finished("mine/one");
  const auto runs = load({run});
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].label, "mine/one");
  EXPECT_EQ(runs[0].directory, run.string());
  EXPECT_EQ(runs[0].status, "finished");
  EXPECT_EQ(runs[0].result.test_accuracy, 0.5);
  EXPECT_EQ(runs[0].keys.at("train.seed"), "7");
}

TEST_F(LoadRuns, ARunThatIsNotOverHasNoResult) {
  const fs::path begun = write("mine/two/resolved.toml", resolved);
  EXPECT_EQ(load({begun})[0].status, "interrupted");
  EXPECT_EQ(to_json(load({begun})[0].result), nlohmann::json::object());
  const runs::Lock lock = runs::Lock::acquire(begun);
  EXPECT_EQ(load({begun})[0].status, "running");
}

// An uninterrupted run of the same configuration is another configuration.
TEST_F(LoadRuns, AChildWithAnotherPastIsAConfigurationOfItsOwn) {
  const fs::path whole = finished("e/1"), exact = finished("e/2"), other = finished("e/3");
  write("e/2/parent.json", R"({"run": "/r", "epoch": 4, "exact": true,
      "changed": {"train.epochs": {"parent": "4", "child": "6"}}})");
  write("e/3/parent.json", R"({"run": "/r", "epoch": 4, "exact": false,
      "changed": {"train.epochs": {"parent": "4", "child": "6"}}})");
  const auto runs = load({whole, exact, other});
  EXPECT_EQ(runs[0].keys, runs[1].keys);
  EXPECT_THAT(runs[0].keys, Not(Contains(Key("--continue"))));
  EXPECT_THAT(runs[2].keys, Contains(Pair("--continue", "epoch 4, train.epochs = 4")));
}

TEST_F(LoadRuns, EqualLabelsBecomePaths) {
  const fs::path a = finished("x/mine/one"), b = finished("y/mine/one"), c = finished("y/mine/two");
  const auto runs = load({a, b, c});
  EXPECT_EQ(runs[0].label, a.string());
  EXPECT_EQ(runs[1].label, b.string());
  EXPECT_EQ(runs[2].label, "mine/two");
}

TEST_F(LoadRuns, OneRunUnderTwoNamesIsRefused) {
  const fs::path run = finished("mine/one");
  fs::create_symlink("one", root_ / "mine/latest");
  expect_refused(ErrorKind::configuration, {run, root_ / "mine/latest"},
                 {"mine/latest is the run " + run.string() + ", which is named twice\nhelp: "});
}

TEST_F(LoadRuns, WhatIsNoRunOrIsDamaged) {
  expect_refused(ErrorKind::configuration, {root_ / "none"}, {"there is no run at ", "help: "});
  expect_refused(ErrorKind::configuration, {root_}, {"is not a run directory", "help: "});
  const fs::path bare = write("mine/bare/run.lock", "");
  expect_refused(ErrorKind::configuration, {bare},
                 {bare.string() + " has no resolved.toml: its configuration is unknown\nhelp: "});
  const fs::path damaged = finished("mine/damaged");
  write("mine/damaged/result.json", "{\"status\": \"fini");
  expect_refused(
      ErrorKind::storage, {damaged},
      {(damaged / "result.json").string() + " is damaged: it is no JSON object\nhelp: "});
}

}  // namespace
}  // namespace qhost::report
