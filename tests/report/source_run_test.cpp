// Finds the run that provided another run's weights, on the disk.
#include "report/source_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "config/read_resolved.h"
#include "report/compared_run.h"
#include "report/no_plugins.h"

namespace qhost::report {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

class FindSource : public ::testing::Test {
 protected:
  FindSource() {
    std::string pattern = (fs::temp_directory_path() / "qhost-source-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = fs::canonical(pattern);
  }
  ~FindSource() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  void write(const fs::path& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << text;
  }
  /// A run of `name` with this seed, from `init_from` unless that is empty.
  fs::path run(const std::string& name, int seed, const std::string& init_from = "",
               const std::string& model = "depth = 8\n") {
    write(fs::path(name) / "resolved.toml",
          "name = \"" + fs::path(name).parent_path().string() +
              "\"\n[data]\nname = \"digits\"\n[model]\nname = \"resnet\"\n" + model +
              "[train]\nseed = " + std::to_string(seed) + "\ninit_from = \"" + init_from + "\"\n");
    return root_ / name;
  }
  void record(const std::string& name, const fs::path& file) {
    write(fs::path(name) / "init_from.json", nlohmann::json{{"file", file.string()}}.dump());
  }
  FoundSource source(const fs::path& run) {
    return find_source(run, config::read_resolved(run / "resolved.toml", catalog_), catalog_);
  }
  std::vector<ComparedRun> load(const std::vector<fs::path>& runs) {
    return load_runs(runs, catalog_);
  }
  fs::path root_;
  NoPlugins catalog_;
};

TEST_F(FindSource, IsTheRunWithoutItsSeed) {
  const fs::path one = run("float/a", 1), two = run("float/b", 2),
                 three = run("float/c", 3, "", "depth = 14\n");
  const auto from_one = source(run("q/a", 1, one)).run, from_two = source(run("q/b", 1, two)).run,
             from_three = source(run("q/c", 1, three)).run;
  ASSERT_TRUE(from_one && from_two && from_three);
  EXPECT_EQ(from_one->name, "float");
  EXPECT_EQ(from_one->seed, "1");
  EXPECT_EQ(from_two->seed, "2");
  EXPECT_THAT(from_one->keys, Contains(Pair("model.depth", "8")));
  EXPECT_THAT(from_one->keys, Not(Contains(Key("train.seed"))));
  EXPECT_THAT(from_one->keys, Not(Contains(Key("name"))));
  EXPECT_EQ(from_one->keys, from_two->keys);
  EXPECT_NE(from_one->keys, from_three->keys);
  EXPECT_FALSE(source(one).run);
  EXPECT_THAT(source(one).why_not, IsEmpty());
}

TEST_F(FindSource, OfASourceThatHasOneItself) {
  const auto tuned = [&](const std::string& name, int seed, const fs::path& from) {
    return source(run("q/" + name, 5, run("tuned/" + name, seed, from))).run;
  };
  const auto a = tuned("a", 1, run("float/a", 7)), b = tuned("b", 2, run("float/b", 8)),
             c = tuned("c", 1, run("float/c", 7, "", "depth = 14\n"));
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->seed, "1 from 7");
  EXPECT_EQ(b->seed, "2 from 8");
  EXPECT_EQ(a->keys, b->keys);
  EXPECT_THAT(c->keys, Contains(Pair("train.init_from: model.depth", "14")));
  EXPECT_NE(a->keys, c->keys);
}

TEST_F(FindSource, InitFromJsonKnowsWhatLatestWas) {
  const fs::path old_run = run("float/old", 1), new_run = run("float/new", 2, "", "depth = 14\n");
  fs::create_symlink("new", root_ / "float/latest");
  const fs::path quantized = run("q/a", 1, root_ / "float/latest");
  EXPECT_EQ(source(quantized).run->keys.at("model.depth"), "14");
  record("q/a", old_run / "checkpoints/step-00000010/state.safetensors");
  const auto found = source(quantized).run;
  EXPECT_EQ(found->keys.at("model.depth"), "8") << "the checkpoint's file may be gone";
  EXPECT_EQ(found->keys.at("file"), "checkpoints/step-00000010/state.safetensors");
}

TEST_F(FindSource, AFileInARunIsPartOfWhatCounts) {
  const fs::path one = run("float/a", 1), two = run("float/b", 2);
  const auto keys = [&](const fs::path& run_folder, const std::string& folder) {
    write(fs::relative(run_folder, root_) / "checkpoints" / folder / "state.safetensors", "");
    return source(run("q/a", 1, run_folder / "checkpoints" / folder / "state.safetensors"))
        .run.value()
        .keys;
  };
  EXPECT_EQ(keys(one, "step-00000010"), keys(two, "step-00000010"));
  EXPECT_NE(keys(one, "step-00000010"), keys(two, "step-00000020"));
  // The seed decides which epoch is the best.
  EXPECT_EQ(keys(one, "best-00000010"), keys(two, "best-00000020"));
}

TEST_F(FindSource, WeightsOfNoRunAndRunsThatAreGone) {
  write("published.safetensors", "");
  const FoundSource published = source(run("q/a", 1, root_ / "published.safetensors"));
  EXPECT_FALSE(published.run);
  EXPECT_THAT(published.why_not, IsEmpty());

  const FoundSource gone = source(run("q/b", 1, root_ / "float/gone"));
  EXPECT_FALSE(gone.run);
  EXPECT_EQ(gone.why_not, (root_ / "float/gone").string() + " is not there any more");

  write("float/damaged/resolved.toml", "[model\n");
  const FoundSource damaged = source(run("q/c", 1, root_ / "float/damaged"));
  EXPECT_FALSE(damaged.run);
  EXPECT_THAT(damaged.why_not, StartsWith((root_ / "float/damaged/resolved.toml").string() + ":1"));
}

TEST_F(FindSource, ASourcesOwnSourceThatIsGone) {
  std::vector<fs::path> quantized;
  for (const char* name : {"a", "b", "c"}) {
    const fs::path gone = root_ / "float" / name,
                   tuned = run("tuned/" + std::string(name), 1, gone);
    quantized.push_back(run("q/" + std::string(name), 1, tuned));
    const FoundSource found = source(quantized.back());
    ASSERT_TRUE(found.run);
    EXPECT_EQ(found.run->name, "tuned");
    EXPECT_EQ(found.why_not, gone.string() + " is not there any more");
  }
  const Comparison c = compare(load(quantized));
  EXPECT_EQ(c.configurations.size(), 3U);
  EXPECT_THAT(c.notes,
              Contains("q/b goes back to a run that counts by the path of train.init_from, not by "
                       "what was trained there: " +
                       (root_ / "float/b").string() + " is not there any more"));
}

TEST_F(FindSource, RunsInACircleComeToAnEnd) {
  run("x/a", 1, root_ / "x/b");
  EXPECT_TRUE(source(run("x/b", 2, root_ / "x/a")).run);
}

TEST_F(FindSource, LoadRunsHasIt) {
  run("q/a", 1, run("float/a", 1));
  const auto runs = load({run("q/b", 2, run("float/b", 2)), root_ / "q/a"});
  EXPECT_EQ(compare(runs).configurations.size(), 1U);
}

}  // namespace
}  // namespace qhost::report
