// The identity of a run, and the messages about a changed machine or build.
#include "runs/run_identity.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "jobs/surroundings.h"
#include "qhost/error.h"

namespace qhost::training {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

runs::RunIdentity one() {
  runs::RunIdentity identity;
  identity.configuration = {{"train.epochs", "30"}, {"train.init_from", "\"/a/src\""}};
  identity.sha256 = {{"data/train.bin", std::string(64, 'd')},
                     {"train.init_from", std::string(64, 'a')},
                     {"plugin/mine", std::string(64, 'b')}};
  return identity;
}

std::vector<std::string> keys(const runs::RunIdentity& before, const runs::RunIdentity& now) {
  std::vector<std::string> found;
  for (const runs::IdentityDifference& difference : runs::differences(before, now)) {
    found.push_back(difference.key);
  }
  return found;
}

TEST(RunIdentity, NamesEachDifferenceWithBothValues) {
  runs::RunIdentity now = one();
  EXPECT_TRUE(runs::differences(one(), now).empty());
  now.configuration["train.epochs"] = "20";
  now.configuration["model.depth"] = "8";
  now.sha256["plugin/mine"] = std::string(64, 'c');
  const std::vector<runs::IdentityDifference> found = runs::differences(one(), now);
  EXPECT_EQ(to_text(found),
            "\n  model.depth: not there in the run, 8 now"
            "\n  train.epochs: 30 in the run, 20 now"
            "\n  SHA-256 of plugin/mine: bbbbbbbbbbbbbbbb... in the run, cccccccccccccccc... now");
  EXPECT_FALSE(found[0].plugin_file);
  EXPECT_TRUE(found[2].plugin_file);
  EXPECT_EQ(to_text(found, 1), "\n  model.depth: not there in the run, 8 now\n  and 2 more");
}

TEST(RunIdentity, APathDoesNotCountWhereTheBytesAreKnown) {
  runs::RunIdentity now = one();
  now.configuration["train.init_from"] = "\"/b/moved\"";
  EXPECT_TRUE(keys(one(), now).empty());
  now.sha256["train.init_from"] = std::string(64, 'e');
  EXPECT_THAT(keys(one(), now), ElementsAre("SHA-256 of train.init_from"));
  // The file is gone: only its path is left to compare.
  now.sha256.erase("train.init_from");
  now.unknown["train.init_from"] = "cannot open it";
  EXPECT_THAT(keys(one(), now), ElementsAre("train.init_from"));
  now.configuration = one().configuration;
  EXPECT_TRUE(keys(one(), now).empty());
  EXPECT_THAT(runs::not_compared(one(), now),
              ElementsAre("train.init_from cannot be compared with those that the run began with: "
                          "cannot open it"));
  EXPECT_EQ(runs::completed(now, one()).sha256, one().sha256) << "kept for the next time";
}

TEST(RunIdentity, FilesThatCameOrWentAreDifferences) {
  runs::RunIdentity now = one();
  now.sha256.erase("plugin/mine");
  now.sha256["data/test.bin"] = std::string(64, 'f');
  EXPECT_THAT(keys(one(), now), ElementsAre("SHA-256 of data/test.bin", "SHA-256 of plugin/mine"));
  now.unknown["data/"] = "the disk is gone";
  EXPECT_THAT(keys(one(), now), ElementsAre("SHA-256 of plugin/mine"));
}

TEST(RunIdentity, AnOlderRunKeptLittle) {
  runs::RunIdentity before;
  before.configuration = one().configuration;
  before.incomplete = "it kept no hashes";
  EXPECT_TRUE(keys(before, one()).empty());
  EXPECT_THAT(runs::not_compared(before, one()), ElementsAre("it kept no hashes"));
  before.sha256["train.init_from"] = std::string(64, 'e');
  EXPECT_THAT(keys(before, one()), ElementsAre("SHA-256 of train.init_from"));
  // A run of an older version cannot be a child: it had no children.
  runs::RunIdentity child = one();
  child.sha256 = {{"parent", std::string(64, 'a')}};
  before.sha256.clear();
  EXPECT_THAT(keys(before, child), ElementsAre("SHA-256 of parent"));
}

TEST(RunIdentity, IsReadAsItWasWritten) {
  std::string folder = (fs::temp_directory_path() / "qhost-identity-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_FALSE(runs::read_identity(folder).incomplete.empty());
  std::ofstream(fs::path(folder) / "identity.json") << to_json(one(), {"something"}).dump();
  const runs::RunIdentity read = runs::read_identity(folder);
  EXPECT_EQ(read.sha256, one().sha256);
  EXPECT_EQ(read.incomplete, "");
  EXPECT_THAT(runs::read_allowed(folder), ::testing::ElementsAre("something"));
  std::ofstream(fs::path(folder) / "identity.json") << "[]";
  EXPECT_THROW(runs::read_identity(folder), Error);
  fs::remove_all(folder);
}

TEST(Surroundings, SayWhatIsAnotherBuildNow) {
  const auto plugin = [](const std::string& version, char digit, bool installed) {
    return Registry::Loaded{"bwn", version, "/lib/bwn.so", std::string(64, digit), installed};
  };
  const json then = {
      {"qhost", "0.1.0"},
      {"libtorch", "2.11.0"},
      {"device", "cpu"},
      {"plugins", {{{"name", "bwn"}, {"version", "0.1.0"}, {"sha256", std::string(64, '1')}}}}};
  json now = then;
  now["commit"] = "abc";  // the older record has no commit
  EXPECT_EQ(jobs::changed_surroundings(then, now, {plugin("0.1.0", '1', true)}), "");
  now["libtorch"] = "2.15.0";
  EXPECT_EQ(jobs::changed_surroundings(then, now, {plugin("0.2.0", '2', true)}),
            "\n  libtorch: \"2.11.0\" then, \"2.15.0\" now"
            "\n  plugin bwn: version 0.1.0 (SHA-256 1111111111111111...) then, version 0.2.0 "
            "(SHA-256 2222222222222222...) now");
  // A plugin from elsewhere is part of the run's identity, and is reported there.
  EXPECT_EQ(jobs::changed_surroundings(then, then, {plugin("0.2.0", '2', false)}), "");
}

}  // namespace
}  // namespace qhost::training
