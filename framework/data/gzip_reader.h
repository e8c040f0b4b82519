/// data/gzip_reader.h: the bytes of a file, unpacked on the way when it is gzip (RFC 1952).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace qhost::data {

/// Reads from the front to the back. Members of a gzip file follow one another seamlessly; every
/// checksum is verified. Memory does not grow with what a file unpacks to: the caller says how much
/// it takes, so a small file that unpacks to terabytes costs no more than that.
class GzipReader {
 public:
  /// `set` begins every message. Whether the file is gzip is seen from its first two bytes, not
  /// from its name. Throws Error of kind data when it cannot be opened or has more than
  /// `most_bytes`.
  GzipReader(std::string set, std::filesystem::path path, std::int64_t most_bytes);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// The next `count` unpacked bytes; fewer only where the file ends. Throws Error of kind data for
  /// what is no gzip, is damaged or stops in the middle.
  std::size_t read(std::uint8_t* to, std::size_t count);
  /// Unpacked bytes that were read.
  std::int64_t position() const;
  bool packed() const;

  /// Of the unpacked bytes, and "NAME, 5148 bytes, sha256 ...[, unpacked sha256 ...]"; once each,
  /// after read() found the end.
  std::string sha256();
  std::string provenance(const std::string& unpacked_sha256);

  /// Throws Error of kind data: set, path, `what`, and where to get a sound file.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  bool refill();  ///< whether bytes are left in the buffer or on the disk
  std::size_t copy_some(std::uint8_t* to, std::size_t count);
  std::size_t inflate_some(std::uint8_t* to, std::size_t count);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qhost::data
