#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "storage/bad_containers.h"
#include "storage/safetensors.h"
#include "storage/sha256.h"
#include "storage/support.h"

namespace qhost::storage {
namespace {

using ::testing::HasSubstr;

template <class T>
TensorView view(const char* dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  return {.dtype = dtype,
          .shape = std::move(shape),
          .data = reinterpret_cast<const std::byte*>(values.data()),
          .bytes = values.size() * sizeof(T)};
}

TEST(SafetensorsWriter, WritesTheseVeryBytes) {
  const std::vector<std::uint8_t> codes = {1, 2, 3};
  const std::vector<float> scale = {1.0f};
  const std::string bytes = serialize(
      {{"codes", view("U8", {3}, codes)}, {"scale", view("F32", {}, scale)}}, {{"k", "v\n"}});
  // The data of wider elements come first, so that both tensors are aligned.
  const std::string json =
      R"({"__metadata__":{"k":"v\n"},"codes":{"data_offsets":[4,7],"dtype":"U8","shape":[3]},)"
      R"("scale":{"data_offsets":[0,4],"dtype":"F32","shape":[]}})";
  const std::string padded = json + std::string((8 - json.size() % 8) % 8, ' ');
  EXPECT_EQ(bytes, container(padded, std::string("\x00\x00\x80\x3f\x01\x02\x03", 7)));
  EXPECT_EQ(serialized_bytes({{"codes", view("U8", {3}, codes)}, {"scale", view("F32", {}, scale)}},
                             {{"k", "v\n"}}),
            bytes.size());
}

TEST(SafetensorsWriter, AnEmptyFileIsSixteenBytes) {
  EXPECT_EQ(serialize({}), container("{}      "));
}

// Random sets of tensors: writing, reading and writing again gives the same bytes, each view is
// aligned to its element, and the content is unchanged.
TEST(SafetensorsWriter, WriteReadWriteIsTheIdentity) {
  std::mt19937 random(7);
  const char* dtypes[] = {"BOOL", "U8",  "I8",  "U16", "I16", "F16", "BF16",
                          "U32",  "I32", "F32", "U64", "I64", "F64"};
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<std::uint8_t>> contents(random() % 12);
    Tensors tensors;
    for (auto& content : contents) {
      const char* dtype = dtypes[random() % 13];
      std::vector<std::int64_t> shape(random() % 5);
      std::size_t bytes = dtype_size(dtype);
      for (auto& size : shape) bytes *= static_cast<std::size_t>(size = random() % 5);
      content.resize(bytes);
      for (auto& byte : content) byte = static_cast<std::uint8_t>(random());
      tensors[std::string(random() % 40, 'n') + "\"\u00fc" + std::to_string(random())] =
          view(dtype, shape, content);
    }
    const Metadata metadata = {{"round", std::to_string(round)}, {"json", R"({"a":[1,2]})"}};
    const std::string first = serialize(tensors, metadata);
    EXPECT_EQ(first.size(), serialized_bytes(tensors, metadata));
    const File file = File::parse(first, "memory");
    EXPECT_EQ(serialize(file.tensors(), file.metadata()), first);
    ASSERT_EQ(file.tensors().size(), tensors.size());
    for (const auto& [name, tensor] : tensors) {
      const TensorView& back = file.at(name);
      EXPECT_EQ(back.dtype, tensor.dtype);
      EXPECT_EQ(back.shape, tensor.shape);
      ASSERT_EQ(back.bytes, tensor.bytes);
      EXPECT_TRUE(std::equal(back.data, back.data + back.bytes, tensor.data));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(back.data) % dtype_size(back.dtype), 0u);
    }
  }
}

TEST(SafetensorsWriter, ReturnsTheHashOfTheFile) {
  const TestFolder folder;
  const std::vector<float> values = {1, 2, 3};
  const auto path = folder / "a.safetensors";
  const std::string hash = write_safetensors(path, {{"a", view("F32", {3}, values)}}, {{"m", "1"}});
  EXPECT_EQ(hash, sha256_file(path));
  EXPECT_EQ(File::read(path).metadata().at("m"), "1");
  EXPECT_EQ(names_in(folder.path()), "a.safetensors");
}

TEST(SafetensorsWriter, RefusesWhatCouldNotBeReadBack) {
  const std::vector<float> values = {1, 2, 3};
  const auto message = [](const std::string& name, const TensorView& tensor) {
    return error_of(ErrorKind::internal, [&] { serialize({{name, tensor}}); });
  };
  EXPECT_THAT(message("a", view("F32", {2}, values)),
              HasSubstr("cannot store tensor \"a\": it has 12 bytes, but F32 [2] has 8"));
  EXPECT_THAT(message("a", view("Q4", {3}, values)), HasSubstr("dtype \"Q4\" is not supported"));
  EXPECT_THAT(message("a", view("F32", {-3}, values)), HasSubstr("a dimension is negative: -3"));
  EXPECT_THAT(message("__metadata__", view("F32", {3}, values)), HasSubstr("the name is reserved"));
  EXPECT_THAT(message("\xff", view("F32", {3}, values)), HasSubstr("is not UTF-8"));
  EXPECT_THAT(message("a", {.dtype = "F32", .shape = {1}, .data = nullptr, .bytes = 4}),
              HasSubstr("it has no data"));
}

}  // namespace
}  // namespace qhost::storage
