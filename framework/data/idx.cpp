#include "data/idx.h"

#include <array>
#include <cstddef>
#include <cstdio>
#include <future>
#include <map>
#include <numeric>
#include <utility>

#include "qhost/error.h"

namespace qhost::data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint8_t unsigned_byte = 0x08;

std::string shape_text(const std::vector<std::int64_t>& dimensions) {
  std::string text;
  for (const std::int64_t size : dimensions) {
    text += (text.empty() ? "" : " x ") + std::to_string(size);
  }
  return text;
}

std::int64_t values_of(const std::vector<std::int64_t>& dimensions) {
  return std::accumulate(dimensions.begin(), dimensions.end(), std::int64_t{1},
                         std::multiplies<>());
}

std::int64_t header_bytes(const std::vector<std::int64_t>& dimensions) {
  return 4 + 4 * static_cast<std::int64_t>(dimensions.size());
}

/// "0x00000803 (unsigned bytes, 3 dimensions)"; only the number if it is no IDX magic number.
std::string magic_text(const std::array<std::uint8_t, 4>& magic) {
  static const std::map<int, const char*> types = {
      {0x08, "unsigned bytes"},  {0x09, "signed bytes"}, {0x0b, "16-bit integers"},
      {0x0c, "32-bit integers"}, {0x0d, "floats"},       {0x0e, "doubles"}};
  char number[16];
  std::snprintf(number, sizeof number, "0x%02x%02x%02x%02x", magic[0], magic[1], magic[2],
                magic[3]);
  const auto type = types.find(magic[2]);
  if (magic[0] != 0 || magic[1] != 0 || type == types.end()) return number;
  return std::string(number) + " (" + type->second + ", " + std::to_string(magic[3]) +
         (magic[3] == 1 ? " dimension)" : " dimensions)");
}

/// "unpacked byte 17" for a gzip file, where an offset alone would be misleading.
std::string place(const GzipReader& file, std::int64_t offset) {
  return (file.packed() ? "unpacked byte " : "byte ") + std::to_string(offset);
}

void check_header(GzipReader& file, const std::vector<std::int64_t>& dimensions) {
  const auto truncated = [&] {
    file.fail("truncated at " + place(file, file.position()) + ", in its header of " +
              std::to_string(header_bytes(dimensions)) + " bytes");
  };
  const std::array<std::uint8_t, 4> expected = {0, 0, unsigned_byte,
                                                static_cast<std::uint8_t>(dimensions.size())};
  std::array<std::uint8_t, 4> word{};
  if (file.read(word.data(), 4) != 4) truncated();
  if (word != expected) {
    file.fail("begins with " + magic_text(word) + "; " + magic_text(expected) + " expected");
  }
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    const std::int64_t offset = file.position();
    if (file.read(word.data(), 4) != 4) truncated();
    std::int64_t size = 0;
    for (const std::uint8_t byte : word) size = size * 256 + byte;
    if (size == dimensions[d]) continue;
    file.fail("dimension " + std::to_string(d) + " at " + place(file, offset) + " is " +
              std::to_string(size) + "; " + std::to_string(dimensions[d]) + " expected (" +
              shape_text(dimensions) + ")");
  }
}

std::vector<std::uint8_t> read_labels(GzipReader& file, std::int64_t count, int classes) {
  std::vector<std::uint8_t> labels = read_idx(file, {count});
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < classes) continue;
    file.fail("label " + std::to_string(labels[i]) + " at " +
              place(file, header_bytes({count}) + static_cast<std::int64_t>(i)) + " (image " +
              std::to_string(i) + ") is outside 0.." + std::to_string(classes - 1));
  }
  return labels;
}

struct FileResult {
  std::vector<std::uint8_t> values;
  std::string sha256, provenance;
};

/// Reads file number `index` of idx_files().
FileResult read_file(const IdxLayout& layout, const fs::path& folder, std::size_t index) {
  const PublishedFile published = idx_files(layout)[index];
  const fs::path path = file_path(folder, published);
  // gzip adds little to incompressible data: a much larger file has other content.
  GzipReader file(layout.name, path, published.bytes + published.bytes / 64 + 65536);
  const std::int64_t images = index < 2 ? layout.train : layout.test;
  FileResult result;
  result.values = index % 2 == 0 ? read_idx(file, {images, layout.height, layout.width})
                                 : read_labels(file, images, layout.classes);
  result.sha256 = file.sha256();
  result.provenance = file.provenance(result.sha256);
  return result;
}

Split to_split(FileResult images, const FileResult& labels) {
  Split split;
  split.pixels = std::move(images.values);
  split.labels.assign(labels.values.begin(), labels.values.end());
  split.source_index.resize(split.labels.size());
  std::iota(split.source_index.begin(), split.source_index.end(), 0U);
  return split;
}

}  // namespace

std::vector<PublishedFile> idx_files(const IdxLayout& layout) {
  const auto images = [&](std::int64_t count) {
    const std::vector<std::int64_t> dimensions = {count, layout.height, layout.width};
    return header_bytes(dimensions) + values_of(dimensions);
  };
  const auto labels = [](std::int64_t count) { return header_bytes({count}) + count; };
  return {{"train-images-idx3-ubyte", images(layout.train), true, ""},
          {"train-labels-idx1-ubyte", labels(layout.train), true, ""},
          {"t10k-images-idx3-ubyte", images(layout.test), true, ""},
          {"t10k-labels-idx1-ubyte", labels(layout.test), true, ""}};
}

std::vector<std::uint8_t> read_idx(GzipReader& file, const std::vector<std::int64_t>& dimensions) {
  check_header(file, dimensions);
  const std::int64_t count = values_of(dimensions), whole = header_bytes(dimensions) + count;
  const std::string expected = std::to_string(whole) + " bytes expected (a header of " +
                               std::to_string(header_bytes(dimensions)) + ", values of " +
                               shape_text(dimensions) + ")";
  std::vector<std::uint8_t> values(static_cast<std::size_t>(count));
  const std::size_t got = file.read(values.data(), values.size());
  if (got != values.size()) {
    const std::int64_t each = dimensions[0] > 0 ? count / dimensions[0] : 1;
    file.fail("truncated at " + place(file, file.position()) + ", in image " +
              std::to_string(static_cast<std::int64_t>(got) / each) + "; " + expected);
  }
  std::uint8_t beyond = 0;
  if (file.read(&beyond, 1) != 0) {
    file.fail("goes on at " + place(file, whole) + "; " + expected);
  }
  return values;
}

IdxSet read_idx_set(const IdxLayout& layout, const fs::path& folder) {
  const std::vector<PublishedFile> files = idx_files(layout);
  for (const PublishedFile& file : files) {
    std::error_code error;
    if (fs::is_regular_file(file_path(folder, file), error)) continue;
    throw Error(ErrorKind::data,
                layout.name + ": " + file_problem(folder, file) + " in " + folder.string(),
                "get it again (`qhost data list` says from where)");
  }
  // Read the files in parallel: decompression and hashing take the time, not the disk.
  std::vector<std::future<FileResult>> reading;
  for (std::size_t i = 0; i < files.size(); ++i) {
    reading.push_back(std::async(std::launch::async, read_file, layout, folder, i));
  }
  std::vector<FileResult> results;
  for (auto& one : reading) results.push_back(one.get());
  IdxSet read;
  for (const FileResult& result : results) {
    read.set.sha256[files[read.sha256.size()].name] = result.sha256;
    read.sha256.push_back(result.sha256);
    read.set.provenance += (read.set.provenance.empty() ? "" : "\n") + result.provenance;
  }
  read.set.name = layout.name;
  read.set.image = Shape{{1, layout.height, layout.width}};
  read.set.classes = layout.classes;
  read.set.train = to_split(std::move(results[0]), results[1]);
  read.set.test = to_split(std::move(results[2]), results[3]);
  return read;
}

}  // namespace qhost::data
