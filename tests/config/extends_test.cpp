#include "config/extends.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/fixtures.h"
#include "config/merge.h"

namespace qhost::config {
namespace {

using testing::HasSubstr;

class Extends : public testing::Test {
 protected:
  std::string load(const std::string& name) {
    Diagnostics diagnostics;
    document_ = load_document(folder_.path() / name, diagnostics);
    errors_ = concise(diagnostics.sorted(), folder_.path());
    return value_text(Value{document_.root, {}, {}});
  }
  Folder folder_;
  Document document_;
  std::string errors_;
};

TEST_F(Extends, MergesTablesAndReplacesLists) {
  folder_.write("base/a.toml", "[train]\nepochs = 1\nseed = 1\n[augment]\nmean = [1, 2]\n");
  folder_.write("x.toml", "extends = \"base/a.toml\"\n[train]\nseed = 2\n[augment]\nmean = [3]\n");
  EXPECT_EQ(load("x.toml"), "{train = {epochs = 1, seed = 2}, augment = {mean = [3]}}");
  EXPECT_EQ(errors_, "");
  const Value& seed = document_.root.find("train")->value.table()->find("seed")->value;
  EXPECT_EQ(seed.span.line, 3);
  ASSERT_EQ(seed.overridden.size(), 1U);
  EXPECT_THAT(seed.overridden[0].to_string(), HasSubstr("base/a.toml:3:8"));
}

TEST_F(Extends, LaterFilesOfAListWinAndFilesExtendFurther) {
  folder_.write("base/root.toml", "[train]\nepochs = 1\nseed = 1\nthreads = 1\n");
  folder_.write("base/a.toml", "extends = \"root.toml\"\n[train]\nepochs = 2\n");
  folder_.write("base/b.toml", "[train]\nepochs = 3\n");
  folder_.write("x.toml", "extends = [\"base/a.toml\", \"base/b.toml\"]\n[train]\nthreads = 4\n");
  EXPECT_EQ(load("x.toml"), "{train = {epochs = 3, seed = 1, threads = 4}}");
  const Value& epochs = document_.root.find("train")->value.table()->find("epochs")->value;
  ASSERT_EQ(epochs.overridden.size(), 2U);  // the latest first
  EXPECT_THAT(epochs.overridden[0].to_string(), HasSubstr("a.toml:3:10"));
  EXPECT_THAT(epochs.overridden[1].to_string(), HasSubstr("root.toml:2:10"));
}

TEST_F(Extends, TheSameFileTwiceIsNoCycle) {
  folder_.write("root.toml", "[train]\nepochs = 1\n");
  folder_.write("a.toml", "extends = \"root.toml\"\n");
  folder_.write("b.toml", "extends = \"root.toml\"\n");
  folder_.write("x.toml", "extends = [\"a.toml\", \"b.toml\"]\n");
  EXPECT_EQ(load("x.toml"), "{train = {epochs = 1}}");
  EXPECT_EQ(errors_, "");
}

TEST_F(Extends, ShowsTheChainOfACycle) {
  folder_.write("a.toml", "extends = \"b.toml\"\n");
  folder_.write("b.toml", "extends = \"./sub/../c.toml\"\n");
  folder_.write("c.toml", "extends = \"a.toml\"\n");
  load("a.toml");
  EXPECT_EQ(errors_,
            "c.toml:1:11: error: a file extends itself: a.toml -> b.toml -> c.toml -> a.toml "
            "[config.extends-cycle]\n");
  EXPECT_FALSE(document_.complete);
  folder_.write("self.toml", "extends = \"self.toml\"\n");
  load("self.toml");
  EXPECT_EQ(errors_,
            "self.toml:1:11: error: a file extends itself: self.toml -> self.toml "
            "[config.extends-cycle]\n");
  // A link counts as the file that it points to.
  std::filesystem::create_symlink("self2.toml", folder_.path() / "link.toml");
  folder_.write("self2.toml", "extends = \"link.toml\"\n");
  load("self2.toml");
  EXPECT_THAT(errors_, HasSubstr("[config.extends-cycle]"));
}

TEST_F(Extends, ReportsAMissingFileAtTheLineThatNamesIt) {
  folder_.write("x.toml", "extends = [\n  \"a.toml\",\n  \"nowhere.toml\"]\n[train]\nseed = 1\n");
  folder_.write("a.toml", "[train]\nepochs = 1\n");
  EXPECT_EQ(load("x.toml"), "{train = {epochs = 1, seed = 1}}");
  EXPECT_EQ(errors_, "x.toml:3:3: error: `nowhere.toml` does not exist [config.file]\n");
  EXPECT_FALSE(document_.complete);
  std::filesystem::create_directory(folder_.path() / "sub");
  folder_.write("y.toml", "extends = \"sub\"\n");
  load("y.toml");
  EXPECT_EQ(errors_, "y.toml:1:11: error: `sub` is a directory [config.file]\n");
}

TEST_F(Extends, RefusesWhatIsNoPath) {
  folder_.write("x.toml", "extends = [1, \"\", {}]\n");
  load("x.toml");
  EXPECT_THAT(errors_, HasSubstr("x.toml:1:12: error: `extends`: expected the path of a file, "
                                 "found an integer 1 [config.wrong-type]"));
  EXPECT_THAT(errors_, HasSubstr("x.toml:1:15"));
  EXPECT_THAT(errors_, HasSubstr("x.toml:1:19"));
}

TEST_F(Extends, BoundsDepthAndNumber) {
  for (int i = 0; i < 20; ++i) {
    folder_.write("d" + std::to_string(i) + ".toml",
                  "extends = \"d" + std::to_string(i + 1) + ".toml\"\n");
  }
  load("d0.toml");
  EXPECT_EQ(errors_, "d15.toml:1:11: error: more than 16 files deep [config.extends-depth]\n");
  // Two bases each: 2^10 files without a limit.
  for (int i = 0; i < 10; ++i) {
    const std::string next = "\"w" + std::to_string(i + 1) + ".toml\"";
    folder_.write("w" + std::to_string(i) + ".toml", "extends = [" + next + ", " + next + "]\n");
  }
  folder_.write("w10.toml", "");
  load("w0.toml");
  EXPECT_THAT(errors_, HasSubstr("more than 64 files in all [config.extends-depth]"));
}

// Components.

std::string merged(const std::string& base, const std::string& over,
                   std::string* errors = nullptr) {
  Diagnostics diagnostics;
  Table tree = parse_document("base", base, diagnostics).root;
  merge(tree, parse_document("over", over, diagnostics).root, MergeLevel::experiment, diagnostics);
  const std::string found = concise(diagnostics.sorted());
  if (errors != nullptr) {
    *errors = found;
  } else {
    EXPECT_EQ(found, "");
  }
  return value_text(Value{tree, {}, {}});
}

TEST(Merge, AnotherNameReplacesAComponent) {
  const std::string base = "[optimizer]\nname = \"sgd\"\nmomentum = 0.5\n";
  EXPECT_EQ(merged(base, "optimizer.name = \"adam\""), "{optimizer = {name = \"adam\"}}");
  EXPECT_EQ(merged(base, "optimizer.name = \"sgd\"\noptimizer.nesterov = true"),
            "{optimizer = {name = \"sgd\", momentum = 0.5, nesterov = true}}");
  EXPECT_EQ(merged(base, "optimizer.nesterov = true"),
            "{optimizer = {name = \"sgd\", momentum = 0.5, nesterov = true}}");
}

TEST(Merge, ATableWithoutNameMeansItsDefault) {
  const std::string base = "optimizer.momentum = 0.5\n";
  EXPECT_EQ(merged(base, "optimizer.name = \"sgd\""),
            "{optimizer = {momentum = 0.5, name = \"sgd\"}}");
  EXPECT_EQ(merged(base, "optimizer.name = \"adam\""), "{optimizer = {name = \"adam\"}}");
  EXPECT_EQ(merged("schedule.warmup_epochs = 5", "schedule.name = \"cosine\""),
            "{schedule = {name = \"cosine\"}}");
}

TEST(Merge, OnlyComponentsAreReplacedByName) {
  EXPECT_EQ(merged("train.name = \"a\"\ntrain.x = 1", "train.name = \"b\""),
            "{train = {name = \"b\", x = 1}}");
}

TEST(Merge, OneQuantizerAndSeveralReplaceEachOther) {
  const std::string one = "[quantizer]\nname = \"bwn\"\ngradient = \"text\"\n";
  const std::string two = "[[quantizer]]\nname = \"a\"\nbits = 1\n[[quantizer]]\nname = \"b\"\n";
  EXPECT_EQ(merged(one, two), "{quantizer = [{name = \"a\", bits = 1}, {name = \"b\"}]}");
  EXPECT_EQ(merged(two, one), "{quantizer = {name = \"bwn\", gradient = \"text\"}}");
  EXPECT_EQ(merged(two, "quantizer.name = \"none\""), "{quantizer = {name = \"none\"}}");
  EXPECT_EQ(merged(one, "quantizer.name = \"none\""), "{quantizer = {name = \"none\"}}");
  EXPECT_EQ(merged(two, "[[quantizer]]\nname = \"c\""), "{quantizer = [{name = \"c\"}]}");
}

TEST(Merge, NumbersNameElements) {
  const std::string two =
      "[[quantizer]]\nname = \"a\"\nbits = 1\n[[quantizer]]\nname = \"b\"\nlayers = [\"x\"]\n"
      "keep_float = []\nbits = 2\n";
  EXPECT_EQ(merged(two, "quantizer.0.bits = 4"),
            "{quantizer = [{name = \"a\", bits = 4}, {name = \"b\", layers = [\"x\"], "
            "keep_float = [], bits = 2}]}");
  // A rule with another method keeps its position.
  EXPECT_EQ(merged(two, "quantizer.1.name = \"c\""),
            "{quantizer = [{name = \"a\", bits = 1}, {name = \"c\", layers = [\"x\"]}]}");
  EXPECT_EQ(merged("[quantizer]\nname = \"a\"\nbits = 1", "quantizer.0.bits = 4"),
            "{quantizer = [{name = \"a\", bits = 4}]}");
}

TEST(Merge, RefusesElementsThatAreNotThere) {
  const std::string two = "[[quantizer]]\nname = \"a\"\n[[quantizer]]\nname = \"b\"\n";
  std::string errors;
  merged(two, "quantizer.2.bits = 4", &errors);
  EXPECT_EQ(errors,
            "over:1:11: error: `quantizer` has 2 elements, there is no `2` [config.bad-index]\n");
  merged("", "quantizer.0.bits = 4", &errors);
  EXPECT_EQ(errors, "over:1:11: error: there is no [quantizer] to change [config.bad-index]\n");
  merged(two, "quantizer.bits = 4", &errors);
  EXPECT_EQ(errors,
            "over:1:1: error: there are 2 [[quantizer]] rules, and no `name` that would replace "
            "them [config.bad-index]\n");
}

}  // namespace
}  // namespace qhost::config
