/// storage/regular_file.h: opens files that are not devices, pipes or folders.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/file_descriptor.h"

namespace qhost::storage {

struct RegularFile {
  FileDescriptor descriptor;
  std::uint64_t bytes;
};

/// Opens `path` for reading. Throws Error (storage) for a missing file, a folder, a device and a
/// pipe (without waiting for a writer).
RegularFile open_regular_file(const std::filesystem::path& path);

}  // namespace qhost::storage
