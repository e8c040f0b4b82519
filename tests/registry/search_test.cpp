#include "registry/search.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "qhost/error.h"
#include "qhost/plugin.h"
#include "registry/fixture.h"
#include "registry/refusal.h"
#include "registry/scan.h"

namespace qhost::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Sets a variable until the end of the scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

class Search : public PluginFolder {
 protected:
  fs::path make(const std::string& name) const {
    fs::create_directories(folder / name);
    return folder / name;
  }
};

TEST_F(Search, OrderIsOptionEnvironmentUserInstallation) {
  const fs::path a = make("a"), b = make("b"), c = make("c"), d = make("d");
  const fs::path user = make("data/qhost/plugins");
  const Variable path("QHOST_PLUGIN_PATH", c.string() + ":" + d.string());
  const Variable data("XDG_DATA_HOME", (folder / "data").string());
  std::vector<std::string> found;
  for (const SearchDirectory& directory : search_directories({.plugin_paths = {b, a}})) {
    found.push_back(directory.path.string() + " " + directory.origin);
  }
  EXPECT_THAT(found, ElementsAre(b.string() + " --plugin-path", a.string() + " --plugin-path",
                                 c.string() + " QHOST_PLUGIN_PATH",
                                 d.string() + " QHOST_PLUGIN_PATH", user.string() + " user folder",
                                 (core_directory() / "qhost/plugins").string() + " installation"));
}

TEST_F(Search, TheInstallationLiesBesideTheCoreLibrary) {
  EXPECT_EQ(core_directory(), fs::canonical(fs::path(QHOST_BINARY_DIR) / "lib"));
}

TEST_F(Search, TheUserFolderDefaultsToHome) {
  const Variable home("HOME", folder.string());
  for (const char* data : {"", "relative/data"}) {
    const Variable xdg("XDG_DATA_HOME", data);
    const auto directories = search_directories({});
    ASSERT_GE(directories.size(), 2u);
    const SearchDirectory& user = directories[directories.size() - 2];
    EXPECT_EQ(user.path, folder / ".local/share/qhost/plugins");
    EXPECT_FALSE(user.exists);
  }
}

TEST_F(Search, TheWorkingDirectoryIsNeverSearched) {
  const Variable path("QHOST_PLUGIN_PATH", "::.:plugins:");
  const auto directories = search_directories({});
  ASSERT_THAT(directories, SizeIs(4));
  EXPECT_EQ(directories[0].path, ".");
  EXPECT_EQ(directories[1].path, "plugins");
  for (int i : {0, 1}) {
    EXPECT_EQ(directories[i].ignored,
              "it is relative, and the working directory is never searched");
    EXPECT_FALSE(directories[i].exists);
  }
  // A plugin in the working directory is not found in any other way either.
  copy("good");
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  const Scan scanned = scan(search_directories({}), false);
  fs::current_path(before);
  for (const PluginStatus& status : scanned.files) EXPECT_NE(status.file.parent_path(), folder);
}

TEST_F(Search, AMistypedPluginPathIsAnError) {
  EXPECT_EQ(text_of<Error>([&] { search_directories({.plugin_paths = {folder / "nowhere"}}); }),
            "--plugin-path \"" + (folder / "nowhere").string() +
                "\": there is no such directory\nhelp: give the folder that holds the plugin's .so "
                "file");
  const fs::path file = copy("good");
  EXPECT_THAT(text_of<Error>([&] { search_directories({.plugin_paths = {file}}); }),
              HasSubstr("is not a directory"));
  try {
    search_directories({.plugin_paths = {""}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
  }
}

TEST_F(Search, AFolderNamedTwiceCountsOnce) {
  const fs::path a = make("a");
  fs::create_directory_symlink(a, folder / "link");
  EXPECT_THAT(search_directories(
                  {.plugin_paths = {a, folder / "link", a / "../a"}, .default_paths = false}),
              SizeIs(1));
}

TEST_F(Search, OnlySharedLibrariesAreLookedAt) {
  copy("second");
  copy("good");
  write("notes.txt", "");
  make("folder");
  EXPECT_THAT(plugin_files(folder), ElementsAre(folder / "good.so", folder / "second.so"));
}

TEST_F(Search, FilesOfTheUserAreTrusted) {
  const Trust trust = judge(copy("good"));
  EXPECT_THAT(trust.refusals, IsEmpty());
  EXPECT_THAT(trust.warnings, IsEmpty());
}

TEST_F(Search, AFileThatAllCanWriteIsRefused) {
  const fs::path file = copy("good");
  fs::permissions(file, fs::perms(0757));
  EXPECT_THAT(judge(file).refusals,
              ElementsAre("the file " + file.string() +
                          " can be written by every user (chmod o-w " + file.string() + ")"));
}

TEST_F(Search, AFolderThatAllCanWriteIsRefused) {
  const fs::path file = copy("good");
  fs::permissions(folder, fs::perms(01777));
  EXPECT_THAT(judge(file).refusals, ElementsAre(HasSubstr("the folder " + folder.string() +
                                                          " can be written by every user")));
}

TEST_F(Search, WritableByTheGroupWarns) {
  const fs::path file = copy("good");
  fs::permissions(file, fs::perms(0775));
  fs::permissions(folder, fs::perms(0775));
  const Trust trust = judge(file);
  EXPECT_THAT(trust.refusals, IsEmpty());
  EXPECT_THAT(trust.warnings, ElementsAre(HasSubstr("the folder"), HasSubstr("the file")));
  EXPECT_THAT(trust.warnings.back(), HasSubstr("can be written by its group (chmod g-w"));
}

TEST_F(Search, ALinkIsJudgedByWhatItLeadsTo) {
  const fs::path open = make("open");
  const fs::path file = write("open/good.so", read_bytes(built_plugin("good")));
  fs::permissions(open, fs::perms(0777));
  fs::create_directory(folder / "closed");
  fs::create_symlink(file, folder / "closed/good.so");
  EXPECT_THAT(judge(folder / "closed/good.so").refusals,
              ElementsAre(HasSubstr("the folder " + open.string())));
}

TEST_F(Search, AStrangersFileIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const fs::path file = copy("good");
  ASSERT_EQ(::chown(file.c_str(), 54321, 54321), 0);
  EXPECT_THAT(judge(file).refusals,
              ElementsAre("the file " + file.string() +
                          " belongs to user 54321; its owner must be root, you, or the owner of "
                          "qhost"));
  ASSERT_EQ(::chown(file.c_str(), 0, 0), 0);
  ASSERT_EQ(::chown(folder.c_str(), 54321, 54321), 0);
  EXPECT_THAT(judge(file).refusals, ElementsAre(HasSubstr("the folder")));
}

TEST_F(Search, InsecurePluginsAreAcceptedOnRequest) {
  fs::permissions(copy("good"), fs::perms(0777));
  const auto refused = scan({{folder, "test", true, ""}}, false);
  ASSERT_THAT(refused.files, SizeIs(1));
  EXPECT_FALSE(refused.files[0].usable);
  EXPECT_THAT(refused.files[0].help, ElementsAre(HasSubstr("--allow-insecure-plugins")));
  const auto accepted = scan({{folder, "test", true, ""}}, true);
  EXPECT_TRUE(accepted.files[0].usable);
  EXPECT_THAT(accepted.files[0].warnings, ElementsAre(HasSubstr("can be written by every user")));
}

TEST_F(Search, AFolderThatCannotBeReadIsReported) {
  const fs::path gone = folder / "gone";  // removed after it was found
  const Scan scanned = scan({{gone, "test", true, ""}}, false);
  ASSERT_THAT(scanned.files, SizeIs(1));
  EXPECT_EQ(scanned.files[0].file, gone);
  EXPECT_FALSE(scanned.files[0].usable);
  EXPECT_THAT(scanned.files[0].reasons,
              ElementsAre("the folder cannot be read: No such file or directory"));
}

TEST_F(Search, EveryReasonIsListed) {
  const fs::path file = patched("good", "\nabi=" QHOST_TEXT(QHOST_ABI_VERSION) "\n", "\nabi=9\n");
  fs::rename(file, folder / "other.so");
  fs::permissions(folder / "other.so", fs::perms(0777));
  const PluginStatus status = examine(folder / "other.so", false);
  EXPECT_FALSE(status.usable);
  EXPECT_EQ(status.name, "good");
  EXPECT_THAT(status.reasons,
              ElementsAre(HasSubstr("can be written by every user"), "its stamp names it \"good\"",
                          "plugin ABI number: 9 in the plugin, " QHOST_TEXT(
                              QHOST_ABI_VERSION) " in this qhost"));
  EXPECT_THAT(status.help,
              ElementsAre(HasSubstr("permissions"), "rename the file to good.so",
                          AllOf(HasSubstr("rebuild it against this qhost: cmake -S PLUGIN_SOURCE"),
                                HasSubstr("-DQhostSdk_DIR=" + core_directory().string()))));
}

TEST_F(Search, TheFirstOfTwoFilesOfOneNameCounts) {
  const fs::path a = make("a"), b = make("b");
  write("a/good.so", read_bytes(built_plugin("good")));
  write("b/good.so", read_bytes(built_plugin("good")));
  const auto directories = search_directories({.plugin_paths = {b, a}, .default_paths = false});
  const Scan scanned = scan(directories, false);
  ASSERT_THAT(scanned.files, SizeIs(2));
  EXPECT_TRUE(scanned.files[0].usable);
  EXPECT_FALSE(scanned.files[1].usable);
  EXPECT_THAT(scanned.files[1].reasons, ElementsAre("it is hidden by " + (b / "good.so").string() +
                                                    ", a plugin of the same name that is found "
                                                    "first"));
}

TEST_F(Search, ARefusedFileHidesNothing) {
  const fs::path a = make("a"), b = make("b");
  write("a/good.so", "text");
  write("b/good.so", read_bytes(built_plugin("good")));
  const auto directories = search_directories({.plugin_paths = {a, b}, .default_paths = false});
  const Scan scanned = scan(directories, false);
  ASSERT_THAT(scanned.files, SizeIs(2));
  EXPECT_FALSE(scanned.files[0].usable);
  EXPECT_TRUE(scanned.files[1].usable);
}

TEST_F(Search, TwoPluginsWithOneComponentAreContested) {
  copy("twin_a");
  copy("twin_b");
  const Scan scanned = scan({{folder, "test", true, ""}}, false);
  ASSERT_THAT(scanned.files, SizeIs(2));
  EXPECT_THAT(scanned.files[0].warnings, ElementsAre("it provides architecture:twin, and so does " +
                                                     (folder / "twin_b.so").string()));
  EXPECT_THAT(scanned.files[1].reasons, ElementsAre("it provides architecture:twin, and so does " +
                                                    (folder / "twin_a.so").string()));
  EXPECT_THAT(scanned.contested.at("architecture:twin"), ElementsAre(0, 1));
}

}  // namespace
}  // namespace qhost::tests
