/// storage/file_descriptor.h: a descriptor that is closed at the end of a scope; used inside this
/// folder.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <utility>

namespace qhost::storage {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct RegularFile {
  FileDescriptor descriptor;
  std::uint64_t bytes;
};

/// Opens `path` for reading. Throws Error (storage) for a missing file, a folder, a device and a
/// pipe (without waiting for a writer).
RegularFile open_regular_file(const std::filesystem::path& path);

}  // namespace qhost::storage
