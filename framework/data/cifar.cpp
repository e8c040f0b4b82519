#include "data/cifar.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <future>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "data/common_options.h"
#include "qhost/error.h"
#include "storage/sha256.h"

namespace qhost::data {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t image_bytes = 3072;

[[noreturn]] void fail(const CifarLayout& layout, const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::data, layout.name + ": " + path.string() + ": " + what,
              "the file is not the published one; unpack the archive again (`qhost data list` "
              "shows where it is from)");
}

void check_size(const CifarLayout& layout, const fs::path& folder, const CifarFile& file) {
  const std::int64_t record = layout.record_bytes();
  const PublishedFile expected{file.name, file.records * record};
  const std::string problem = file_problem(folder, expected);
  if (problem.empty()) return;
  const fs::path path = folder / file.name;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw Error(ErrorKind::data, layout.name + ": " + problem + " in " + folder.string(),
                "unpack the archive again (`qhost data list` shows where it is from)");
  }
  const auto size = static_cast<std::int64_t>(fs::file_size(path, error));
  const std::string whole = std::to_string(expected.bytes) + " bytes expected (" +
                            std::to_string(file.records) + " records of " + std::to_string(record) +
                            " bytes)";
  if (size < expected.bytes) {
    fail(layout, path,
         "truncated at byte " + std::to_string(size) + ", in record " +
             std::to_string(size / record) + "; " + whole);
  }
  fail(layout, path, "has " + std::to_string(size) + " bytes; " + whole);
}

/// Reads one file into its position in `split` and returns its SHA-256.
std::string read_file(const CifarLayout& layout, const fs::path& path, const CifarFile& file,
                      std::size_t label, Split& split, std::int64_t first) {
  errno = 0;
  std::ifstream in;
  in.rdbuf()->pubsetbuf(nullptr, 0);  // no buffer: whole blocks are read
  in.open(path, std::ios::binary);
  if (!in) {
    throw Error(ErrorKind::data,
                layout.name + ": " + path.string() + " cannot be opened: " + std::strerror(errno),
                "check its permissions");
  }
  const std::int64_t record = layout.record_bytes();
  const std::int64_t block = 256;  // records per block, small enough for the cache
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(block * record));
  storage::Sha256 hash;
  for (std::int64_t done = 0; done < file.records; done += block) {
    const std::int64_t records = std::min(block, file.records - done);
    const std::int64_t bytes = records * record;
    errno = 0;
    in.read(reinterpret_cast<char*>(buffer.data()), bytes);
    if (in.gcount() != bytes) {
      fail(layout, path,
           "reading stopped at byte " + std::to_string(done * record + in.gcount()) + " of " +
               std::to_string(file.records * record) +
               (errno != 0 ? std::string(": ") + std::strerror(errno) : std::string()));
    }
    hash.update(std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(bytes))));
    for (std::int64_t r = 0; r < records; ++r) {
      const std::uint8_t* at = buffer.data() + r * record;
      for (std::size_t l = 0; l < layout.labels.size(); ++l) {
        if (at[l] < layout.labels[l].classes) continue;
        fail(layout, path,
             layout.labels[l].name + " " + std::to_string(at[l]) + " at byte " +
                 std::to_string((done + r) * record + static_cast<std::int64_t>(l)) + " (record " +
                 std::to_string(done + r) + ") is outside 0.." +
                 std::to_string(layout.labels[l].classes - 1));
      }
      const auto index = static_cast<std::size_t>(first + done + r);
      split.labels[index] = at[label];
      std::memcpy(split.pixels.data() + index * image_bytes, at + layout.labels.size(),
                  image_bytes);
    }
  }
  return hash.hex();
}

Split sized(const std::vector<CifarFile>& files) {
  std::int64_t count = 0;
  for (const CifarFile& file : files) count += file.records;
  Split split;
  split.pixels.resize(static_cast<std::size_t>(count * image_bytes));
  split.labels.resize(static_cast<std::size_t>(count));
  split.source_index.resize(static_cast<std::size_t>(count));
  std::iota(split.source_index.begin(), split.source_index.end(), 0U);
  return split;
}

}  // namespace

Dataset read_cifar(const CifarLayout& layout, const fs::path& folder, std::size_t label) {
  for (const auto* files : {&layout.train, &layout.test}) {
    for (const CifarFile& file : *files) check_size(layout, folder, file);
  }
  Dataset set;
  set.name = layout.name;
  set.image = Shape{{3, 32, 32}};
  set.classes = layout.labels[label].classes;
  set.train = sized(layout.train);
  set.test = sized(layout.test);
  // Read the files in parallel: hashing takes the time, not the disk.
  std::vector<std::pair<const CifarFile*, std::future<std::string>>> hashes;
  const auto read_all = [&](const std::vector<CifarFile>& files, Split& split) {
    std::int64_t first = 0;
    for (const CifarFile& file : files) {
      hashes.emplace_back(
          &file, std::async(std::launch::async, [&layout, &folder, &file, &split, label, first] {
            return read_file(layout, folder / file.name, file, label, split, first);
          }));
      first += file.records;
    }
  };
  read_all(layout.train, set.train);
  read_all(layout.test, set.test);
  for (auto& one : hashes) one.second.wait();  // the threads write into `set`: no exception yet
  for (auto& [file, reading] : hashes) {
    const std::string hash = reading.get();
    set.sha256[file->name] = hash;
    if (!set.provenance.empty()) set.provenance += '\n';
    set.provenance += file->name + ", " + std::to_string(file->records * layout.record_bytes()) +
                      " bytes, sha256 " + hash;
  }
  return set;
}

}  // namespace qhost::data
