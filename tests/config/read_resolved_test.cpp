#include "config/read_resolved.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/fixtures.h"

namespace qhost::config {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

class ReadResolved : public testing::Test {
 protected:
  using Keys = std::map<std::string, std::string>;
  Keys keys(const std::string& text) {
    return read_resolved(folder_.write("resolved.toml", text), catalog_).result_keys();
  }
  /// As the run has them that wrote the file.
  Keys of_run(const std::string& text) {
    return load_experiment_or_throw(folder_.write("x.toml", text), {}, catalog_)
        .at(0)
        .experiment.result_keys();
  }
  Folder folder_;
  TestCatalog catalog_;
};

TEST_F(ReadResolved, AreTheKeysOfTheRun) {
  const std::string text = minimal +
                           "[quantizer]\nname = \"bwn\"\n[train]\nseed = 7\nthreads = 2\n"
                           "[optimizer]\nname = \"adam\"\nlearning_rate = 1e-3\n";
  const Experiment run = std::move(
      load_experiment_or_throw(folder_.write("x.toml", text), {}, catalog_).at(0).experiment);
  EXPECT_EQ(keys(run.resolved_toml()), run.result_keys());
  EXPECT_THAT(run.result_keys(), Contains(Pair("train.seed", "7")));
}

// An option that came later means its default in the runs before it: the host's, and a component's.
TEST_F(ReadResolved, AKeyThatAnOlderBuildDidNotKnow) {
  const Keys older = keys(
      "[data]\nname = \"digits\"\n[model]\nname = \"resnet\"\ndepth = 8\n"
      "[quantizer]\nname = \"uniform\"\n[train]\nthreads = 1\n");
  EXPECT_THAT(older, Contains(Pair("model.preactivation", "false")));
  EXPECT_THAT(older, Contains(Pair("quantizer.0.bits", "8")));
  EXPECT_THAT(older, Contains(Pair("optimizer.momentum", "0.9")));
}

TEST_F(ReadResolved, AComponentThatIsNotHere) {
  for (const char* name : {"elsewhere", "refused"}) {
    SCOPED_TRACE(name);
    const std::string given = std::string("\"") + name + "\"";
    const Keys found =
        keys("[data]\nname = \"digits\"\n[model]\nname = " + given +
             "\ndepth = 8\nwidth = 1.5\nfamily = \"x\"\nflag = true\nempty = []\nsizes = [1, 2]\n"
             "ratios = [1.5, 2]\nnames = [\"a\"]\n[[quantizer]]\nname = " +
             given +
             "\nlayers = [\"conv*\"]\nkeep_float = [\"first\"]\nbits = 3\n[[quantizer]]\nname = " +
             given + "\nbits = 4\n");
    const Keys expected = {{"model.name", given},
                           {"model.depth", "8"},
                           {"model.width", "1.5"},
                           {"model.family", "\"x\""},
                           {"model.flag", "true"},
                           {"model.empty", "[]"},
                           {"model.sizes", "[1, 2]"},
                           {"model.names", "[\"a\"]"},
                           {"quantizer.0.name", given},
                           {"quantizer.0.bits", "3"},
                           {"quantizer.1.bits", "4"},
                           {"quantizer.0.layers", "[\"conv*\"]"},
                           {"quantizer.1.layers", "[\"*\"]"},
                           {"quantizer.0.keep_float", "[\"first\"]"}};
    for (const auto& [key, value] : expected) EXPECT_THAT(found, Contains(Pair(key, value)));
    EXPECT_THAT(found, Contains(Pair("model.ratios", "[1.5, 2.0]")));
  }
}

// The plugin is of another version than the one that the run was made with.
TEST_F(ReadResolved, AComponentThatTakesOtherOptionsByNow) {
  const Keys found = keys(
      "[data]\nname = \"digits\"\n[model]\nname = \"wideresnet\"\nlegacy = 1\nwiden_factor = -2.0\n"
      "dropout = \"much\"\n[quantizer]\nname = \"uniform\"\nbits = 16\nkeep_float = []\n");
  EXPECT_THAT(found, Contains(Pair("model.legacy", "1")));
  EXPECT_THAT(found, Contains(Pair("model.widen_factor", "-2.0")));
  EXPECT_THAT(found, Contains(Pair("model.dropout", "\"much\"")));
  EXPECT_THAT(found, Contains(Pair("quantizer.0.bits", "16")));
  EXPECT_THAT(found, Not(Contains(Key("model.depth")))) << "which this version requires";
}

TEST_F(ReadResolved, WhatIsNoExperiment) {
  for (const char* text : {"[model\n", "[data]\nname = \"digits\"\n", "[trane]\n"}) {
    try {
      keys(text);
      ADD_FAILURE() << "nothing was thrown for " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration);
      EXPECT_THAT(error.what(), HasSubstr("resolved.toml"));
    }
  }
}

}  // namespace
}  // namespace qhost::config
