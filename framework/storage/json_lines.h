/// storage/json_lines.h: an append-only file with one JSON object per line (metrics.jsonl).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace qhost::storage {

/// Appends each line with one write(2): a reader sees only whole lines, and a kill loses at most
/// the last one.
class JsonLinesWriter {
 public:
  /// Creates the file if needed, and cuts off a torn last line (one without a newline, whose writer
  /// was killed).
  explicit JsonLinesWriter(const std::filesystem::path& path);
  ~JsonLinesWriter();
  JsonLinesWriter(const JsonLinesWriter&) = delete;
  JsonLinesWriter& operator=(const JsonLinesWriter&) = delete;

  /// Writes one line. A non-finite number becomes null. If the disk is full, the part that was
  /// written is removed and Error (storage) is thrown: the file still has only whole lines.
  void append(const nlohmann::json& object);
  /// The file's length. A checkpoint stores it after sync(), and cut_json_lines() takes it.
  std::uint64_t offset() const { return offset_; }
  /// Calls fdatasync. Call it before a checkpoint stores offset(), so that the lines are durable.
  void sync();
  /// The length in bytes of the torn line that the constructor cut off, normally 0.
  std::uint64_t repaired_bytes() const { return repaired_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t offset_ = 0, repaired_ = 0;
};

/// Cuts the file to `offset` bytes, which must be the end of a line. Throws Error (storage) if the
/// file is shorter or the offset is inside a line. A missing file with offset 0 is allowed.
void cut_json_lines(const std::filesystem::path& path, std::uint64_t offset);

/// Cuts the file at the first line that `keep` rejects, that is no JSON object, or that is torn;
/// all later lines are removed too. Returns the new length, 0 for a missing file.
std::uint64_t cut_json_lines(const std::filesystem::path& path,
                             const std::function<bool(const nlohmann::json&)>& keep);

/// All whole lines. A torn last line is left out; a malformed line throws Error (storage) with its
/// number.
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path);

}  // namespace qhost::storage
