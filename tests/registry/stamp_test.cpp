#include "registry/stamp.h"

#include <elf.h>
#include <sys/stat.h>

#include <cstring>
#include <random>
#include <stdexcept>

#include "registry/fixture.h"
#include "registry/refusal.h"

namespace qhost::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string valid_text =
    "QHOST-STAMP-1\nname=bwn\nversion=1.0.0\nabi=1\ncompiler=gcc 12.2.0\nstdlib=libstdc++ 12\n"
    "cxx11abi=1\nstandard=202002L\nbuild_type=Release\nglibcxx_debug=0\nsanitizers=none\n"
    "torch=2.15.0\nsdk=0.1.0\nprovides=quantizer:bwn,architecture:bwn_net\nend\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("no " + from);
  return text.replace(at, from.size(), to);
}

std::string parse_error(const std::string& text) {
  return text_of<std::invalid_argument>([&] { parse_stamp(text); });
}

TEST(ParseStamp, ReadsEveryField) {
  const Stamp stamp = parse_stamp(valid_text + '\0');
  EXPECT_EQ(stamp.name, "bwn");
  EXPECT_EQ(stamp.version, "1.0.0");
  EXPECT_EQ(stamp.abi, "1");
  EXPECT_EQ(stamp.compiler, "gcc 12.2.0");
  EXPECT_EQ(stamp.stdlib, "libstdc++ 12");
  EXPECT_EQ(stamp.cxx11abi, "1");
  EXPECT_EQ(stamp.standard, "202002L");
  EXPECT_EQ(stamp.build_type, "Release");
  EXPECT_EQ(stamp.glibcxx_debug, "0");
  EXPECT_EQ(stamp.sanitizers, "none");
  EXPECT_EQ(stamp.torch, "2.15.0");
  EXPECT_EQ(stamp.sdk, "0.1.0");
  EXPECT_THAT(stamp.provides, ElementsAre("quantizer:bwn", "architecture:bwn_net"));
  EXPECT_TRUE(stamp.provides_component("quantizer", "bwn"));
  EXPECT_FALSE(stamp.provides_component("architecture", "bwn"));
}

TEST(ParseStamp, PassesOverKeysOfLaterVersions) {
  EXPECT_EQ(parse_stamp(replaced(valid_text, "abi=1\n", "abi=1\ncolor=blue\n")).name, "bwn");
}

TEST(ParseStamp, SaysWhatIsWrong) {
  EXPECT_EQ(parse_error(""), "does not begin with QHOST-STAMP-1");
  EXPECT_EQ(parse_error("hello\n"), "does not begin with QHOST-STAMP-1");
  EXPECT_EQ(parse_error(replaced(valid_text, "STAMP-1", "STAMP-2")),
            "has the format \"QHOST-STAMP-2\", this qhost reads \"QHOST-STAMP-1\"");
  EXPECT_EQ(parse_error(replaced(valid_text, "end\n", "")), "has no line \"end\"");
  EXPECT_EQ(parse_error(replaced(valid_text, "torch=2.15.0\n", "")), "has no line \"torch=\"");
  EXPECT_EQ(parse_error(replaced(valid_text, "torch=2.15.0", "torch=")),
            "has nothing after \"torch=\"");
  EXPECT_EQ(parse_error(replaced(valid_text, "abi=1\n", "abi=1\nabi=2\n")),
            "has two lines \"abi=\"");
  EXPECT_EQ(parse_error(replaced(valid_text, "abi=1\n", "abi 1\n")),
            "holds the line \"abi 1\", which is not key=value");
  EXPECT_EQ(parse_error(replaced(valid_text, "name=bwn", "name=../bwn")),
            "gives the name \"../bwn\": up to 64 of a-z, 0-9 and _ are allowed");
  EXPECT_EQ(parse_error(replaced(valid_text, "name=bwn", "name=b\x1b[31m")),
            "holds a line that is too long or not printable");
  EXPECT_EQ(parse_error(replaced(valid_text, "name=bwn", "name=" + std::string(5000, 'b'))),
            "holds a line that is too long or not printable");
  EXPECT_EQ(parse_error(replaced(valid_text, "quantizer:bwn", "kernel:bwn")),
            "provides \"kernel:bwn\", which is not architecture:name or quantizer:name");
  EXPECT_EQ(parse_error(replaced(valid_text, "architecture:bwn_net", "quantizer:bwn")),
            "provides \"quantizer:bwn\" twice");
  EXPECT_EQ(parse_error(replaced(valid_text, ",architecture:bwn_net", ",")),
            "provides \"\", which is not architecture:name or quantizer:name");
}

std::vector<std::string> texts(const Stamp& plugin, const Stamp& host, bool refuses) {
  std::vector<std::string> found;
  for (const StampMismatch& mismatch : compare(plugin, host)) {
    if (mismatch.refuses == refuses) found.push_back(mismatch.text());
  }
  return found;
}

TEST(CompareStamps, EqualStampsAndOtherMinorVersionsFit) {
  const Stamp host = parse_stamp(valid_text);
  Stamp plugin = host;
  plugin.compiler = "gcc 13.1.0";
  plugin.stdlib = "libstdc++ 13";
  plugin.sdk = "0.2.0";
  plugin.name = "other";
  plugin.version = "7";
  EXPECT_THAT(compare(plugin, host), IsEmpty());
}

TEST(CompareStamps, ListsEveryMismatchWithBothValues) {
  const Stamp host = parse_stamp(valid_text);
  Stamp plugin = host;
  plugin.abi = "2";
  plugin.torch = "2.11.0";
  plugin.compiler = "clang 14.0.6";
  plugin.stdlib = "libc++ 14000";
  plugin.cxx11abi = "0";
  plugin.glibcxx_debug = "1";
  plugin.sanitizers = "address";
  plugin.standard = "201709L";
  EXPECT_THAT(
      texts(plugin, host, true),
      ElementsAre("plugin ABI number: 2 in the plugin, 1 in this qhost",
                  "LibTorch version: 2.11.0 in the plugin, 2.15.0 in this qhost",
                  "compiler: clang 14.0.6 in the plugin, gcc 12.2.0 in this qhost",
                  "C++ standard library: libc++ 14000 in the plugin, libstdc++ 12 in this qhost",
                  "_GLIBCXX_USE_CXX11_ABI: 0 in the plugin, 1 in this qhost",
                  "_GLIBCXX_DEBUG: 1 in the plugin, 0 in this qhost",
                  "sanitizers: address in the plugin, none in this qhost",
                  "C++ standard: 201709L in the plugin, 202002L in this qhost"));
  EXPECT_THAT(texts(plugin, host, false), IsEmpty());
}

TEST(CompareStamps, BuildTypeAndNewerStandardOnlyWarn) {
  const Stamp host = parse_stamp(valid_text);
  Stamp plugin = host;
  plugin.build_type = "Debug";
  plugin.standard = "202100L";
  EXPECT_THAT(texts(plugin, host, true), IsEmpty());
  EXPECT_THAT(texts(plugin, host, false),
              ElementsAre("C++ standard: 202100L in the plugin, 202002L in this qhost",
                          "build type: Debug in the plugin, Release in this qhost"));
}

TEST(HostStamp, DescribesThisBuild) {
  const Stamp& host = host_stamp();
  EXPECT_EQ(host.name, "qhost");
  EXPECT_EQ(host.torch, std::to_string(QHOST_TORCH_MAJOR) + "." +
                            std::to_string(QHOST_TORCH_MINOR) + "." +
                            std::to_string(QHOST_TORCH_PATCH));
  EXPECT_THAT(compare(host, host), IsEmpty());
}

class ReadStamp : public PluginFolder {
 protected:
  static std::string refusal(const fs::path& file) {
    return text_of<PluginRefusal>([&] { read_stamp(file); });
  }
  static void expect_refused(const fs::path& file, const std::string& clause) {
    EXPECT_THAT(refusal(file),
                AllOf(HasSubstr(file.string() + " is not a usable plugin: " + clause),
                      HasSubstr("\nhelp: ")));
  }
};

TEST_F(ReadStamp, OfASoundPlugin) {
  const Stamp stamp = read_stamp(built_plugin("good"));
  EXPECT_EQ(stamp.name, "good");
  EXPECT_EQ(stamp.version, "1.2.3");
  EXPECT_THAT(stamp.provides, ElementsAre("architecture:one_layer"));
  EXPECT_THAT(compare(stamp, host_stamp()), IsEmpty());
  EXPECT_THAT(read_stamp(built_plugin("second")).provides,
              ElementsAre("architecture:second_a", "architecture:second_b"));
}

TEST_F(ReadStamp, OfAStrippedPlugin) {
  const fs::path file = copy("good");
  ASSERT_EQ(std::system(("strip --strip-all " + file.string()).c_str()), 0);
  EXPECT_EQ(read_stamp(file).name, "good");
}

TEST_F(ReadStamp, WhatIsNoLibrary) {
  expect_refused(folder / "absent.so", "it cannot be read: No such file or directory");
  expect_refused(write("empty.so", ""), "it is empty");
  expect_refused(write("text.so", "#!/bin/sh\necho hello, I am a text file\n"),
                 "it is not a shared library (no ELF header)");
  expect_refused(write("short.so",
                       "\x7f"
                       "E"),
                 "it is not a shared library (no ELF header)");
  fs::create_directory(folder / "directory.so");
  expect_refused(folder / "directory.so", "it is not a regular file");
  ASSERT_EQ(::mkfifo((folder / "pipe.so").c_str(), 0600), 0);
  expect_refused(folder / "pipe.so", "it is not a regular file");
  expect_refused("/proc/self/exe", "it ");
}

TEST_F(ReadStamp, ALibraryThatIsNoPlugin) {
  expect_refused(copy("no_stamp"), "it carries no qhost stamp (no ELF section \"qhost\")");
  EXPECT_THAT(refusal(built_plugin("no_stamp")), HasSubstr("built by qhost_add_plugin()"));
}

TEST_F(ReadStamp, ForAnotherMachine) {
  std::string bytes = read_bytes(built_plugin("good"));
  bytes[offsetof(Elf64_Ehdr, e_machine)] = static_cast<char>(EM_PPC64);
  expect_refused(write("other.so", bytes), "it was built for ELF machine 21, this machine is ");
  bytes = read_bytes(built_plugin("good"));
  bytes[EI_CLASS] = ELFCLASS32;
  expect_refused(write("narrow.so", bytes), "it was built for another machine");
  bytes = read_bytes(built_plugin("good"));
  bytes[offsetof(Elf64_Ehdr, e_type)] = ET_REL;
  expect_refused(write("object.so", bytes), "it is an ELF file but not a shared library");
}

TEST_F(ReadStamp, TruncatedAnywhere) {
  const std::string bytes = read_bytes(built_plugin("good"));
  // In small steps through the headers, in larger steps further on, then the last bytes.
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length < bytes.size(); length += length < 1024 ? 7 : 97) {
    lengths.push_back(length);
  }
  for (std::size_t cut = 1; cut < 70; ++cut) lengths.push_back(bytes.size() - cut);
  const fs::path file = folder / "good.so";
  for (const std::size_t length : lengths) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
    EXPECT_THROW(read_stamp(file), PluginRefusal) << "cut to " << length;
  }
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes.substr(0, bytes.size() / 2);
  expect_refused(file, "it is truncated or damaged: ");
  EXPECT_THAT(refusal(file), HasSubstr("the file has " + std::to_string(bytes.size() / 2)));
}

TEST_F(ReadStamp, HostileNumbersInTheHeaders) {
  const std::string bytes = read_bytes(built_plugin("good"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto with = [&](std::size_t offset, const auto& value) {
    std::string changed = bytes;
    std::memcpy(changed.data() + offset, &value, sizeof value);
    return changed;
  };
  const std::uint64_t huge = UINT64_MAX - 8;
  const std::uint16_t many = UINT16_MAX, none = 0;
  expect_refused(write("a.so", with(offsetof(Elf64_Ehdr, e_shoff), huge)),
                 "it is truncated or damaged: the section table ends at byte 2^64 and more");
  expect_refused(write("b.so", with(offsetof(Elf64_Ehdr, e_phoff), huge)),
                 "it is truncated or damaged: the program header table");
  expect_refused(write("c.so", with(offsetof(Elf64_Ehdr, e_shnum), many)),
                 "it is truncated or damaged: the section table ends at byte ");
  expect_refused(write("d.so", with(offsetof(Elf64_Ehdr, e_shstrndx), many)),
                 "it is damaged: its ELF section table is malformed");
  expect_refused(write("e.so", with(offsetof(Elf64_Ehdr, e_shnum), none)),
                 "it has no section \"qhost\" (its section table was removed)");
  const std::size_t names = header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr);
  expect_refused(write("f.so", with(names + offsetof(Elf64_Shdr, sh_size), huge)),
                 "it is damaged: its table of section names is malformed");
  expect_refused(write("g.so", with(names + offsetof(Elf64_Shdr, sh_offset), huge)),
                 "it is truncated or damaged: the table of section names");
}

TEST_F(ReadStamp, AStampSectionThatIsTooLargeOrLiesOutside) {
  const std::string bytes = read_bytes(built_plugin("good"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t stamp_at = bytes.find("QHOST-STAMP-1");
  ASSERT_NE(stamp_at, std::string::npos);
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const std::size_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr section;
    std::memcpy(&section, bytes.data() + at, sizeof section);
    if (section.sh_offset != stamp_at || section.sh_type != SHT_PROGBITS) continue;
    std::string changed = bytes;
    section.sh_size = 1 << 20;
    std::memcpy(changed.data() + at, &section, sizeof section);
    expect_refused(write("large.so", changed),
                   "its section \"qhost\" has 1048576 bytes, at most 16384 are read");
    section.sh_size = 100;
    section.sh_offset = bytes.size() - 10;
    std::memcpy(changed.data() + at, &section, sizeof section);
    expect_refused(write("outside.so", changed),
                   "it is truncated or damaged: the qhost stamp ends at byte " +
                       std::to_string(bytes.size() + 90) + ", the file has " +
                       std::to_string(bytes.size()));
    return;
  }
  FAIL() << "no section holds the stamp";
}

TEST_F(ReadStamp, AMalformedStamp) {
  expect_refused(patched("good", "\ntorch=", "\ntorcj="), "its stamp has no line \"torch=\"");
}

// For any bytes, the answer is a stamp or a refusal.
TEST_F(ReadStamp, RandomDamage) {
  const std::string bytes = read_bytes(built_plugin("good"));
  std::mt19937 random(7);
  const fs::path file = folder / "good.so";
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = bytes;
    for (int i = 0; i < 8; ++i) {
      // The headers at the beginning, the section table at the end.
      const std::size_t at = i % 2 == 0 ? random() % 512 : bytes.size() - 1 - random() % 2048;
      damaged[at] = static_cast<char>(random());
    }
    std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
    try {
      EXPECT_FALSE(read_stamp(file).provides.empty());
    } catch (const PluginRefusal&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace qhost::tests
