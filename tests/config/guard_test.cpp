// Texts that must be refused before a parser sees them.
#include "config/guard.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "config/document.h"
#include "config/fixtures.h"

namespace qhost::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string parse(const std::string& text) {
  Diagnostics diagnostics;
  parse_document("x.toml", text, diagnostics);
  return concise(diagnostics.sorted());
}

std::string read(const std::filesystem::path& file, const std::filesystem::path& folder) {
  Diagnostics diagnostics;
  EXPECT_FALSE(read_file(file, {}, diagnostics));
  return concise(diagnostics.sorted(), folder);
}

// The documents that overflow the parser's stack.

TEST(Guard, RefusesALongDottedKey) {
  EXPECT_EQ(parse("a" + repeated(".a", 40000) + "=1\n"),
            "x.toml:1:1: error: a line of 80003 bytes, the limit is 4096 "
            "[config.line-too-long]\n");
  EXPECT_EQ(parse("a" + repeated(".a", 2000) + "=1\n"),
            "x.toml:1:64: error: nested more than 32 levels deep [config.nesting]\n");
}

TEST(Guard, RefusesALongHeader) {
  EXPECT_THAT(parse("[a" + repeated(".a", 40000) + "]\n"), HasSubstr("[config.line-too-long]"));
  EXPECT_EQ(parse("[a" + repeated(".a", 2000) + "]\n"),
            "x.toml:1:65: error: nested more than 32 levels deep [config.nesting]\n");
}

TEST(Guard, RefusesInlineTablesThatMultiplyDottedKeys) {
  const std::string line = "{a" + repeated(".a", 1900) + " = [\n";
  EXPECT_EQ(parse("x = [\n" + repeated(line, 30)),
            "x.toml:2:61: error: nested more than 32 levels deep [config.nesting]\n");
  // Few parts per line and many lines: the sum counts.
  EXPECT_EQ(parse("x = [\n" + repeated("{a.b.c = [\n", 126)),
            "x.toml:9:5: error: nested more than 32 levels deep [config.nesting]\n");
}

TEST(Guard, RefusesDeepListsAndInlineTables) {
  EXPECT_EQ(parse("x = " + repeated("[", 200)),
            "x.toml:1:36: error: nested more than 32 levels deep [config.nesting]\n");
  EXPECT_THAT(parse("x = " + repeated("{a=", 200)), HasSubstr("[config.nesting]"));
}

TEST(Guard, CountsHeaderKeyAndValueTogether) {
  const std::string header = "[a" + repeated(".a", 14) + "]\n";  // 15
  const std::string key = "b" + repeated(".b", 13) + " = ";      // 14
  EXPECT_EQ(parse(header + key + "[[[1]]]\n"), "");              // 32
  EXPECT_THAT(parse(header + key + "[[[[1]]]]\n"), HasSubstr("[config.nesting]"));
  // The next key starts with a count of 0.
  EXPECT_EQ(parse(header + key + "1\n" + key + "[[[1]]]\nc.c = 3\n" + header),
            parse(header + key + "1\n" + key + "[[[1]]]\nc.c = 3\n" + header));
}

TEST(Guard, DoesNotCountWhatIsNoNesting) {
  // Strings, comments, numbers, closed brackets, quoted keys with dots and brackets do not count.
  EXPECT_EQ(
      parse("a = \"" + repeated("[", 100) + "\\\"" + repeated("{", 100) + "\"\n" + "b = '" +
            repeated("[", 100) + "' # " + repeated("[", 100) + "\n" + "c = \"\"\"\n" +
            repeated("[{\n", 50) + "\"\"\"\n" + "d = [" + repeated("[1.5], ", 50) + "]\n" + "\"" +
            repeated("a.[", 40) + "\" = 1\n" + "e = [" + repeated("{x.y = 1.5, z = 2}, ", 40) +
            "]\n" + "f = \"\"\"\"quoted\"\"\"\"\"\n" + "g = '''it''s'''\n"),
      "");
}

TEST(Guard, ALimitOfTheFileBoundsTheSum) {
  // The largest valid document: as deep and as long as allowed, everywhere.
  std::string text;
  int table = 0;
  while (text.size() < max_file_bytes - 200) {
    text += "[t" + std::to_string(table++) + repeated(".a", 20) + "]\n";
    text += "k = " + repeated("{b = ", 10) + "1" + repeated("}", 10) + "\n";
  }
  EXPECT_EQ(parse(text), "");
}

// Files.

TEST(Guard, RefusesALineOfTwoGigabytesUnread) {
  const Folder folder;
  const auto file = folder.write("big.toml", "a = \"");
  // The file is sparse and takes no disk space.
  std::filesystem::resize_file(file, std::uintmax_t{2} << 30);
  EXPECT_EQ(read(file, folder.path()),
            "big.toml: error: has 2147483648 bytes, an experiment at most 131072 "
            "[config.file-too-large]\n");
}

TEST(Guard, TakesAFileOfTheLargestSizeOnly) {
  const Folder folder;
  std::string text =
      repeated("# 45678901234567890123456789012345678901234567890123456789012\n", 3000);
  text.resize(max_file_bytes);
  Diagnostics diagnostics;
  EXPECT_EQ(read_file(folder.write("a.toml", text), {}, diagnostics), text);
  EXPECT_FALSE(diagnostics.has_errors());
  EXPECT_THAT(read(folder.write("b.toml", text + "#"), folder.path()),
              HasSubstr("has 131073 bytes, an experiment at most 131072"));
}

TEST(Guard, SaysWhyAFileCannotBeRead) {
  const Folder folder;
  EXPECT_EQ(read(folder.path() / "no.toml", folder.path()),
            "no.toml: error: does not exist [config.file]\n");
  std::filesystem::create_directory(folder.path() / "sub.toml");
  EXPECT_EQ(read(folder.path() / "sub.toml", folder.path()),
            "sub.toml: error: is a directory [config.file]\n");
  EXPECT_EQ(read(folder.write("a.toml", "") / "b.toml", folder.path()),
            "a.toml/b.toml: error: does not exist [config.file]\n");
  // A pipe without a writer must not be waited for.
  ASSERT_EQ(::mkfifo((folder.path() / "pipe.toml").c_str(), 0600), 0);
  EXPECT_EQ(read(folder.path() / "pipe.toml", folder.path()),
            "pipe.toml: error: is not a regular file [config.file]\n");
  EXPECT_THAT(read("/dev/zero", ""), HasSubstr("is not a regular file"));
  std::filesystem::create_symlink("loop.toml", folder.path() / "loop.toml");
  EXPECT_THAT(read(folder.path() / "loop.toml", folder.path()),
              StartsWith("loop.toml: error: cannot be read: Too many levels"));
}

TEST(Guard, SaysWhyAFileMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const Folder folder;
  const auto file = folder.write("a.toml", "");
  ::chmod(file.c_str(), 0);
  EXPECT_EQ(read(file, folder.path()),
            "a.toml: error: cannot be read: Permission denied [config.file]\n");
}

TEST(Guard, RefusesWhatIsNotText) {
  using namespace std::string_literals;
  EXPECT_EQ(parse("a = 1\nb\0 = 2\n"s),
            "x.toml:2:2: error: a NUL byte: this is not a text file [config.not-text]\n");
  EXPECT_EQ(parse("é = 1\nb = \"é\xff\"\n"),
            "x.toml:2:7: error: byte 0xff is not UTF-8 [config.not-text]\n");
}

TEST(Guard, DropsAByteOrderMark) {
  const Folder folder;
  Diagnostics diagnostics;
  EXPECT_EQ(read_file(folder.write("a.toml",
                                   "\xEF\xBB\xBF"
                                   "a = 1"),
                      {}, diagnostics),
            "a = 1");
}

TEST(Guard, ReportsEveryLongLine) {
  const std::string line = "# " + std::string(4200, 'x') + "\n";
  const std::string text = parse(line + "a = 1\n" + line);
  EXPECT_THAT(text, HasSubstr("x.toml:1:1: error: a line of 4202 bytes"));
  EXPECT_THAT(text, HasSubstr("x.toml:3:1: error: a line of 4202 bytes"));
}

}  // namespace
}  // namespace qhost::config
