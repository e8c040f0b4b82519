/// storage/json_lines.h: an append-only file with one JSON object a line (metrics.jsonl).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace qhost::storage {

/// Appends lines, each with one write(2), so that a reader sees whole lines only and a kill loses
/// at most the last.
class JsonLinesWriter {
 public:
  /// Creates the file if needed. A torn last line (no newline: its writer was killed) is cut off.
  explicit JsonLinesWriter(const std::filesystem::path& path);
  ~JsonLinesWriter();
  JsonLinesWriter(const JsonLinesWriter&) = delete;
  JsonLinesWriter& operator=(const JsonLinesWriter&) = delete;

  /// Writes one line. A non-finite number becomes null. When the disk is full the part that was
  /// written is taken back and Error (storage) thrown: the file still holds whole lines.
  void append(const nlohmann::json& object);
  /// The file's length: what a checkpoint stores after sync(), and cut_json_lines() takes.
  std::uint64_t offset() const { return offset_; }
  /// fdatasync: call before a checkpoint that stores offset(), so that the lines outlive it.
  void sync();
  /// Bytes of the torn line that the constructor cut off, 0 as a rule.
  std::uint64_t repaired_bytes() const { return repaired_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t offset_ = 0, repaired_ = 0;
};

/// Cuts the file back to `offset` bytes, which must be the end of a line. Throws Error (storage)
/// when the file is shorter or the offset lies inside a line. A missing file with offset 0 is fine.
void cut_json_lines(const std::filesystem::path& path, std::uint64_t offset);

/// Cuts at the first line for which `keep` is false, or which is no JSON object, or is torn; what
/// follows goes too. Returns the new length. A missing file is 0.
std::uint64_t cut_json_lines(const std::filesystem::path& path,
                             const std::function<bool(const nlohmann::json&)>& keep);

/// All whole lines; a torn last one is left out, a malformed one throws Error (storage) with its
/// line number.
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path);

}  // namespace qhost::storage
