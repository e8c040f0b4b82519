/// data/gzip_reader.h: reads the bytes of a file and decompresses it if it is gzip (RFC 1952).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace qhost::data {

/// Reads sequentially. Several members of a gzip file are read as one stream, and every checksum is
/// verified. The memory does not depend on the uncompressed size: the caller decides how many bytes
/// it takes, so that a small file that expands to terabytes is harmless.
class GzipReader {
 public:
  /// `set` begins every message. The first two bytes decide whether the file is gzip, not its name.
  /// Throws Error (data) if the file cannot be opened or has more than `most_bytes`.
  GzipReader(std::string set, std::filesystem::path path, std::int64_t most_bytes);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Reads the next `count` uncompressed bytes and returns their number, which is smaller only at
  /// the end of the file. Throws Error (data) for a file that is damaged or truncated.
  std::size_t read(std::uint8_t* to, std::size_t count);
  /// The number of uncompressed bytes read so far.
  std::int64_t position() const;
  bool packed() const;

  /// The SHA-256 of the uncompressed bytes, and "NAME, 5148 bytes, sha256 ...[, unpacked sha256
  /// ...]". Call each once, after read() reached the end.
  std::string sha256();
  std::string provenance(const std::string& unpacked_sha256);

  /// Throws Error (data) with the set, the path, `what`, and where to get an intact file.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  bool refill();  ///< false at the end of the file
  std::size_t copy_some(std::uint8_t* to, std::size_t count);
  std::size_t inflate_some(std::uint8_t* to, std::size_t count);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qhost::data
