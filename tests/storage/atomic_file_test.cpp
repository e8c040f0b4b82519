#include "storage/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "storage/io_error.h"
#include "storage/support.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

TEST(AtomicFile, ReplacesAsAWholeAndKeepsTheMode) {
  const TestFolder folder;
  const fs::path path = folder / "a";
  spill(path, "old, and longer than the new one");
  ::chmod(path.c_str(), 0640);
  write_file_atomically(path, "new");
  EXPECT_EQ(slurp(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0640));
  EXPECT_EQ(names_in(folder.path()), "a");
}

TEST(AtomicFile, TheOldFileStaysUntilCommitAndAfterAnAbandonedWrite) {
  const TestFolder folder;
  const fs::path path = folder / "a";
  spill(path, "old");
  {
    AtomicFile file(path);
    file.write("ne");
    file.write("w");
    EXPECT_EQ(slurp(path), "old");
  }
  EXPECT_EQ(slurp(path), "old");
  EXPECT_EQ(names_in(folder.path()), "a");
  AtomicFile file(path);
  file.write("ne");
  file.write("w");
  file.commit();
  EXPECT_EQ(slurp(path), "new");
  EXPECT_THAT(error_of(ErrorKind::internal, [&] { file.write("x"); }), HasSubstr("after commit"));
  EXPECT_THAT(error_of(ErrorKind::internal, [&] { file.commit(); }), HasSubstr("second commit"));
}

TEST(AtomicFile, WritesEmptyFilesAndInTheWorkingDirectory) {
  const TestFolder folder;
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(fs::file_size(folder / "empty"), 0u);
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(slurp(folder / "plain"), "x");
}

TEST(AtomicFile, FollowsALinkAndLeavesItInPlace) {
  const TestFolder folder;
  fs::create_directory(folder / "other");
  spill(folder / "other/real", "old");
  fs::create_symlink("other/real", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(slurp(folder / "other/real"), "new");
}

TEST(AtomicFile, RefusesDevicesAndFolders) {
  const TestFolder folder;
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { write_file_atomically("/dev/null", "x"); }),
            "cannot write /dev/null: it exists and is not a regular file\nhelp: name a file; it is "
            "replaced as a whole, so a device or a pipe will not do");
  EXPECT_THAT(error_of(ErrorKind::storage, [&] { write_file_atomically(folder.path(), "x"); }),
              HasSubstr("it exists and is a folder"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, SaysWhatTheSystemSaid) {
  const TestFolder folder;
  const std::string place = folder.path().string();
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { write_file_atomically(folder / "no/a", "x"); }),
            "cannot create a file in " + place +
                "/no: No such file or directory\nhelp: check the path; a folder on the way may be "
                "missing");
  spill(folder / "file", "");
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { write_file_atomically(folder / "file/a", "x"); }),
            "cannot create a file in " + place +
                "/file: Not a directory\nhelp: a part of the path is a file, not a folder");
}

TEST(AtomicFile, AsksForTheSpaceBeforeItWrites) {
  const TestFolder folder;
  const std::uint64_t wanted = std::uint64_t{1} << 60;
  const std::string message =
      error_of(ErrorKind::storage, [&] { AtomicFile file(folder / "a", "file", wanted); });
  EXPECT_THAT(message, StartsWith("cannot write " + (folder / "a").string() +
                                  ": No space left on device\n  wanted 1152921504606846976 bytes "
                                  "(1.0 EiB), free on that file system: "));
  EXPECT_THAT(message, HasSubstr("\nhelp: free some space, or choose another file system"));
  EXPECT_EQ(names_in(folder.path()), "");
}

TEST(AtomicFile, SweepsTheDeadAndSparesTheLiving) {
  const TestFolder folder;
  spill(folder / (std::string(temporary_prefix) + "0123456789abcdef"), "of a dead writer");
  spill(folder / "mine", "");
  AtomicFile living(folder / "a");
  living.write("x");
  EXPECT_EQ(sweep_temporaries(folder.path()), 1);
  living.commit();
  EXPECT_EQ(names_in(folder.path()), "a mine");
  EXPECT_EQ(sweep_temporaries(folder / "none"), 0);
}

TEST(AtomicFile, TemporaryNamesDiffer) {
  EXPECT_THAT(temporary_name(), MatchesRegex("\\.qhost-tmp-[0-9a-f]{16}"));
  EXPECT_NE(temporary_name(), temporary_name());
}

TEST(ReadFile, HasALimit) {
  const TestFolder folder;
  spill(folder / "a", std::string(2000, 'x'));
  EXPECT_EQ(read_file(folder / "a").size(), 2000u);
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { read_file(folder / "a", 1999); }),
            "cannot read " + (folder / "a").string() +
                ": it has 2000 bytes (2.0 KiB), at most 1999 bytes (2.0 KiB) are read\nhelp: this "
                "is hardly the file you meant");
  EXPECT_THAT(error_of(ErrorKind::storage, [&] { read_file("/dev/zero"); }),
              HasSubstr("it is not a regular file"));
}

TEST(FormatBytes, ShowsBothForms) {
  EXPECT_EQ(format_bytes(0), "0 bytes");
  EXPECT_EQ(format_bytes(1), "1 byte");
  EXPECT_EQ(format_bytes(1023), "1023 bytes");
  EXPECT_EQ(format_bytes(1024), "1024 bytes (1.0 KiB)");
  EXPECT_EQ(format_bytes(1048575), "1048575 bytes (1.0 MiB)");
}

}  // namespace
}  // namespace qhost::storage
