#include "data/published_set.h"

#include "support.h"

namespace qhost::data::testing {
namespace {

const PublishedSet tiny = {"tiny-set",
                           "tiny.tar.gz",
                           "https://example.org/tiny.tar.gz",
                           "0123abcd",
                           {{"one.bin", 3}, {"two.bin", 4}}};

struct Places : ::testing::Test {
  Folder home;
  Variable home_variable{"HOME", home.path().string()};
  Variable data{"QHOST_DATA", std::nullopt};
  Variable xdg{"XDG_DATA_HOME", std::nullopt};
};

TEST_F(Places, SearchOrder) {
  const auto plain = search_path(tiny, "");
  EXPECT_THAT(plain, ::testing::ElementsAre("data/tiny-set", "data",
                                            home / ".local/share/qhost/data/tiny-set",
                                            home / ".local/share/qhost/data"));
  const Variable given("QHOST_DATA", "/srv/sets");
  const Variable own("XDG_DATA_HOME", "/own");
  EXPECT_THAT(search_path(tiny, ""),
              ::testing::ElementsAre("/srv/sets/tiny-set", "/srv/sets", "data/tiny-set", "data",
                                     "/own/qhost/data/tiny-set", "/own/qhost/data"));
  EXPECT_THAT(search_path(tiny, "/here"), ::testing::ElementsAre("/here/tiny-set", "/here"));
}

TEST_F(Places, WorksWithoutAHome) {
  const Variable none("HOME", std::nullopt);
  EXPECT_EQ(search_path(tiny, "").size(), 2U);
  EXPECT_THAT(how_to_get(tiny, ""), HasSubstr("mkdir -p 'data'"));
}

TEST_F(Places, TheFirstFolderWins) {
  const fs::path late = home / ".local/share/qhost/data/tiny-set";
  fs::create_directories(late);
  EXPECT_EQ(find_folder(tiny, ""), late);
  const Folder early;
  const Variable given("QHOST_DATA", early.path().string());
  EXPECT_EQ(find_folder(tiny, ""), late) << "an empty folder holds no set";
  write_file(early / "one.bin", "abc");
  EXPECT_EQ(find_folder(tiny, ""), early.path()) << "the files may lie in the named folder itself";
  write_file(early / "tiny-set/one.bin", "abc");
  EXPECT_EQ(find_folder(tiny, ""), early / "tiny-set");
}

TEST_F(Places, AnotherSetsFileOfThatNameDoesNotCount) {
  const Folder root;
  write_file(root / "one.bin", "abcd");
  EXPECT_EQ(find_folder(tiny, root.path().string()), std::nullopt);
}

TEST_F(Places, AMissingSetSaysWhereItWasLookedForAndHowToGetIt) {
  const Variable given("QHOST_DATA", home.path().string());
  expect_error(
      ErrorKind::data,
      {"tiny: the data set is not on this machine; its folder tiny-set was looked for in\n  " +
           home.path().string() + "\n",
       (home / ".local/share/qhost/data").string() + " (no folder)",
       "help: download https://example.org/tiny.tar.gz (MD5 0123abcd)",
       "tar -xzf tiny.tar.gz -C '" + (home / ".local/share/qhost/data").string() + "'",
       "data.root=FOLDER or QHOST_DATA"},
      [] { require_folder("tiny", tiny, ""); });
}

// One command is left where the archive, or the set as Python tools keep it, lies there.
TEST_F(Places, WhatLiesThereIsNotDownloadedAgain) {
  PublishedSet both = tiny;
  both.python_folder = "tiny-py";
  const Folder root;
  const std::string place = root.path().string();
  EXPECT_THAT(how_to_get(both, place), ::testing::StartsWith("download "));
  fs::create_directories(root / "tiny-py");
  EXPECT_EQ(how_to_get(both, place),
            "it lies there as Python tools keep it: tools/import_cifar.py '" + place +
                "/tiny-py' '" + place + "' writes the files that qhost reads");
  EXPECT_THAT(how_to_get(both, place + "/tiny-py"),
              ::testing::EndsWith(" '" + place +
                                  "' writes the files that qhost reads, for "
                                  "data.root=" +
                                  place));
  EXPECT_THAT(how_to_get(tiny, place), ::testing::StartsWith("download "));
  write_file(root / "tiny.tar.gz", "x");
  EXPECT_EQ(how_to_get(both, place), "unpack the archive that lies there: tar -xzf '" + place +
                                         "/tiny.tar.gz' -C '" + place + "'");
}

TEST_F(Places, AMissingSetNamesTheGivenRoot) {
  expect_error(ErrorKind::data,
               {"looked for in\n  /nonexistent/sets (no folder)\n", "-C '/nonexistent/sets'"},
               [] { require_folder("tiny", tiny, "/nonexistent/sets"); });
}

TEST_F(Places, AFolderThatCannotBeOpenedSaysWhy) {
  fs::create_symlink("loop", home / "loop");
  expect_error(ErrorKind::data, {"loop (Too many levels of symbolic links)"},
               [&] { require_folder("tiny", tiny, (home / "loop").string()); });
}

TEST_F(Places, ThePublishedArchivesAreNamed) {
  expect_error(ErrorKind::data,
               {"cifar10: ", "cifar-10-batches-bin", "cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530"},
               [] {
                 load("cifar10", {{"root", "/nonexistent"}});
               });
  expect_error(ErrorKind::data,
               {"cifar100: ", "cifar-100-binary", "cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8"},
               [] {
                 load("cifar100", {{"root", "/nonexistent"}});
               });
}

TEST_F(Places, FileProblems) {
  const Folder folder;
  EXPECT_EQ(file_problem(folder.path(), {"one.bin", 3}), "one.bin is missing");
  write_file(folder / "one.bin", "ab");
  EXPECT_EQ(file_problem(folder.path(), {"one.bin", 3}), "one.bin has 2 bytes, not 3");
  EXPECT_EQ(file_problem(folder.path(), {"one.bin", 2}), "");
}

}  // namespace
}  // namespace qhost::data::testing
