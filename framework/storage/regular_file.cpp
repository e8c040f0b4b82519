#include "storage/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "qhost/error.h"
#include "storage/io_error.h"

namespace qhost::storage {

RegularFile open_regular_file(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe without a writer must not hang.
  RegularFile file{FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), 0};
  if (!file.descriptor.valid()) fail_io("read", path, errno);
  struct stat facts {};
  if (::fstat(file.descriptor.get(), &facts) != 0) fail_io("read", path, errno);
  if (S_ISDIR(facts.st_mode)) fail_io("read", path, EISDIR);
  if (!S_ISREG(facts.st_mode)) {
    throw Error(ErrorKind::storage, "cannot read " + path.string() + ": it is not a regular file",
                "name a file on disk");
  }
  file.bytes = static_cast<std::uint64_t>(facts.st_size);
  return file;
}

}  // namespace qhost::storage
