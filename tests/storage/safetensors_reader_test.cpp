#include <gmock/gmock.h>

#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <random>

#include "storage/bad_containers.h"
#include "storage/safetensors.h"
#include "storage/support.h"

namespace qhost::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class BadContainerTest : public ::testing::TestWithParam<BadContainer> {};

TEST_P(BadContainerTest, IsRefusedWithPlaceAndBothSides) {
  const BadContainer& bad = GetParam();
  const std::string from_memory =
      error_of(ErrorKind::storage, [&] { File::parse(bad.bytes, "bad.safetensors"); });
  EXPECT_THAT(from_memory, StartsWith("bad.safetensors: " + bad.what + "\n  " + bad.found));
  EXPECT_THAT(from_memory,
              HasSubstr("\nhelp: the file is damaged, cut short or not a safetensors"));

  const TestFolder folder;
  spill(folder / "bad.safetensors", bad.bytes);
  const std::string from_disk =
      error_of(ErrorKind::storage, [&] { File::read(folder / "bad.safetensors"); });
  EXPECT_EQ(from_disk, folder.path().string() + "/" + from_memory);
  for (const char c : from_memory) EXPECT_TRUE(c == '\n' || (c >= ' ' && c < '\x7f')) << int(c);
}

INSTANTIATE_TEST_SUITE_P(Safetensors, BadContainerTest, ::testing::ValuesIn(bad_containers()),
                         [](const auto& test) { return test.param.name; });

TEST(SafetensorsReader, ReadsWhatAnyWriterMayWrite) {
  // Unsorted, without padding, spaces at the end, an empty tensor in the middle, metadata last.
  const std::string json = R"({ "z" :{"shape":[2],"data_offsets":[0,4],"dtype":"I16"},)"
                           R"("empty":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]},)"
                           R"("\u00e9":{"dtype":"U8","shape":[],"data_offsets":[4,5]},)"
                           R"("__metadata__":{"k":"v"}}   )";
  const File file = File::parse(container(json, std::string("\x01\x00\xff\xff\x2a", 5)), "memory");
  ASSERT_EQ(file.tensors().size(), 3u);
  const TensorView& z = file.at("z");
  EXPECT_EQ(z.dtype, "I16");
  EXPECT_THAT(z.shape, ElementsAre(2));
  ASSERT_EQ(z.bytes, 4u);
  std::int16_t values[2];
  std::memcpy(values, z.data, 4);
  EXPECT_THAT(values, ElementsAre(1, -1));
  EXPECT_THAT(file.at("empty").shape, ElementsAre(3, 0));
  EXPECT_EQ(file.at("empty").bytes, 0u);
  EXPECT_EQ(std::to_integer<int>(*file.at("\u00e9").data), 42);
  EXPECT_TRUE(file.at("\u00e9").shape.empty());
  EXPECT_THAT(file.metadata(), ElementsAre(std::pair("k", "v")));
}

TEST(SafetensorsReader, AValidTypeThatItDoesNotReadIsNoDamage) {
  for (const std::string type : {"F8_E4M3", "F8_E5M2", "C64"}) {
    const std::string header =
        R"({"w":{"dtype":")" + type + R"(","shape":[1],"data_offsets":[0,1]}})";
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    EXPECT_EQ(error_of(ErrorKind::storage, [&] { File::parse(bytes + header + "x", "f"); }),
              "f: tensor \"w\" has the dtype " + type +
                  ", a valid type that qhost does not read; it reads BOOL U8 I8 U16 I16 F16 BF16 "
                  "U32 I32 F32 U64 I64 F64\nhelp: store the tensor as F32, F16 or BF16");
  }
}

TEST(SafetensorsReader, ReadsAFileWithoutTensors) {
  EXPECT_TRUE(File::parse(container("{}"), "memory").tensors().empty());
  EXPECT_TRUE(File::parse(container(R"({"__metadata__":{}})"), "memory").metadata().empty());
}

TEST(SafetensorsReader, ViewsOutliveAMove) {
  File file = File::parse(
      container(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "\x07"), "memory");
  const std::byte* before = file.at("a").data;
  const File moved = std::move(file);
  EXPECT_EQ(moved.at("a").data, before);
  EXPECT_EQ(std::to_integer<int>(*before), 7);
}

/// Reads every byte of an accepted file, so that a sanitizer sees a view that is too long.
unsigned touch(const File& file) {
  unsigned sum = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    for (std::size_t i = 0; i < tensor.bytes; ++i) sum += std::to_integer<unsigned>(tensor.data[i]);
  }
  return sum;
}

std::string small_valid_file() {
  return container(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}  )",
      "01234567abc");
}

TEST(SafetensorsReader, RefusesEveryShorterFile) {
  const std::string whole = small_valid_file();
  EXPECT_EQ(touch(File::parse(whole, "whole")), 8 * '0' + 28 + 3 * 'a' + 3u);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(File::parse(whole.substr(0, size), "cut"), Error) << size;
  }
  EXPECT_THROW(File::parse(whole + "x", "longer"), Error);
}

// Every byte gets every value, then random pairs of bytes change. The reader either accepts the
// file with all views inside, or throws an Error of kind storage.
TEST(SafetensorsReader, SurvivesEveryChangedByte) {
  const std::string whole = small_valid_file();
  int accepted = 0, refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const File file = File::parse(bytes, "changed");
      touch(file);
      std::size_t total = 0;
      for (const auto& [name, tensor] : file.tensors()) total += tensor.bytes;
      EXPECT_LE(total, bytes.size());
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::storage) << error.what();
      ++refused;
    }
  };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    for (int value = 0; value < 256; ++value) {
      bytes[at] = static_cast<char>(value);
      attempt(bytes);
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = whole;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes[random() % bytes.size()] = "0123456789{}[]\",:eE-+. tf"[random() % 26];
    attempt(bytes);
  }
  EXPECT_GT(accepted, 11 * 255);  // any data bytes are valid
  EXPECT_GT(refused, 10000);
}

TEST(SafetensorsReader, NamesNearTensorsWhenOneIsMissing) {
  const File file = File::parse(
      container(R"({"conv1.weight":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "net");
  EXPECT_EQ(file.find("conv1.weights"), nullptr);
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { (void)file.at("conv1.weights"); }),
            "net: there is no tensor \"conv1.weights\" among its 1; did you mean "
            "\"conv1.weight\"?\nhelp: the file belongs to another network or another version");
}

TEST(SafetensorsReader, KeepsToItsLimits) {
  const std::string two = R"({"aa":{"dtype":"U8","shape":[0,0],"data_offsets":[0,0]},)"
                          R"("bb":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
  const auto message = [&](Limits limits) {
    return error_of(ErrorKind::storage, [&] { File::parse(container(two), "f", limits); });
  };
  EXPECT_THAT(
      message({.tensors = 1}),
      StartsWith("f: the header has too many entries\n  at byte 67: found 2; allowed: at most 1"));
  EXPECT_THAT(
      message({.name_bytes = 1}),
      StartsWith(
          "f: the name \"aa\" is too long\n  at byte 12: found 2 bytes; allowed: at most 1"));
  EXPECT_THAT(message({.rank = 1}), HasSubstr("found 2 or more; allowed: at most 1"));
  EXPECT_THAT(message({.header_bytes = 20}),
              HasSubstr("found 109 bytes; allowed: at most 20 bytes"));
  EXPECT_THAT(message({.file_bytes = 100}), HasSubstr("the file is too large"));
  EXPECT_NO_THROW(File::parse(container(two), "f", {.rank = 2, .tensors = 2, .name_bytes = 12}));
}

TEST(SafetensorsReader, ASparseGiantCostsNothing) {
  const TestFolder folder;
  const auto path = folder / "giant.safetensors";
  spill(path, container("{}"));
  std::filesystem::resize_file(path, std::uintmax_t{8} << 30);
  EXPECT_THAT(error_of(ErrorKind::storage, [&] { File::read(path); }),
              HasSubstr("found 8589934582 bytes (8.0 GiB); allowed: none"));
  std::filesystem::resize_file(path, std::uintmax_t{17} << 30);
  EXPECT_THAT(error_of(ErrorKind::storage, [&] { File::read(path); }),
              HasSubstr("the file is too large\n  at byte 0: found 18253611008 bytes (17.0 GiB)"));
}

TEST(SafetensorsReader, RefusesWhatIsNoFile) {
  const TestFolder folder;
  const std::string place = folder.path().string();
  EXPECT_EQ(
      error_of(ErrorKind::storage, [&] { File::read(folder / "none"); }),
      "cannot read " + place +
          "/none: No such file or directory\nhelp: check the path; a folder on the way may be "
          "missing");
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { File::read(folder.path()); }),
            "cannot read " + place + ": Is a directory\nhelp: this is a folder; name a file");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { File::read(folder / "pipe"); }),
            "cannot read " + place + "/pipe: it is not a regular file\nhelp: name a file on disk");
}

}  // namespace
}  // namespace qhost::storage
