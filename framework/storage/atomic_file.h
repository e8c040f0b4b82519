/// storage/atomic_file.h: replaces a file as a whole or not at all, even through kill and power
/// loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qhost::storage {

/// The prefix of temporary files and folders; random digits follow it. No other program uses names
/// with this prefix.
inline constexpr std::string_view temporary_prefix = ".qhost-tmp-";

/// A temporary file beside `path`, which replaces it in commit(). Every write, fsync and close is
/// checked; a failure throws Error (storage), and the destructor removes the temporary file. A
/// symbolic link at `path` is followed; anything but a regular file (a device, a folder) is
/// refused.
class AtomicFile {
 public:
  /// `failpoint_name` is the P of failpoint.h. If `wanted` is given, it is compared with the free
  /// space before anything is written.
  explicit AtomicFile(const std::filesystem::path& path, std::string_view failpoint_name = "file",
                      std::optional<std::uint64_t> wanted = std::nullopt);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// fsync, close, rename over `path`, fsync of the folder.
  void commit();

 private:
  void remove_temporary() noexcept;
  std::filesystem::path path_, temporary_;
  std::string failpoint_name_;
  std::optional<std::uint64_t> wanted_;
  std::uint64_t written_ = 0;
  int fd_ = -1;
};

/// Writes all bytes at once through an AtomicFile. Missing parent folders are not created.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           std::string_view failpoint_name = "file");
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           std::string_view failpoint_name = "file");

/// Removes the temporary files in `folder` whose writer is dead (a live writer holds a lock on its
/// file). Returns their number; 0 for a missing folder.
int sweep_temporaries(const std::filesystem::path& folder);

/// Calls fsync on a folder, which makes the names in it durable.
void sync_folder(const std::filesystem::path& folder);

/// Reads the whole file; refuses anything but a regular file, and a file longer than `limit`.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit = 64u << 20);

/// Calls write(2) until all bytes are written, through EINTR and short writes. Returns 0 or the
/// errno; a file size limit is EFBIG, never a SIGXFSZ.
int write_all(int fd, std::span<const std::byte> bytes) noexcept;

/// ".qhost-tmp-" and 16 random hexadecimal digits.
std::string temporary_name();

}  // namespace qhost::storage
