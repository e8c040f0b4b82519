#include "storage/io_error.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/number_text.h"
#include "qhost/error.h"

namespace qhost::storage {
namespace {

std::string help_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose another file system with --runs-dir";
    case EFBIG:
      return "the file size limit of this shell is lower (see `ulimit -f`), or the file system's "
             "is";
    case EACCES:
    case EPERM:
      return "check the owner and the permissions (`ls -ld`) of it and of its folder";
    case EROFS:
      return "the file system is mounted read-only; choose another one with --runs-dir";
    case ENOENT:
      return "check the path; a folder on the way may be missing";
    case ENOTDIR:
      return "a part of the path is a file, not a folder";
    case EISDIR:
      return "this is a folder; name a file";
    case EEXIST:
    case ENOTEMPTY:
      return "something else has this name; move it away";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case EIO:
      return "the disk reports a defect (see `dmesg`); copy the run to another one";
    default:
      return "see whether the disk is well and the path is what you meant";
  }
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  std::string text = std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
  if (bytes < 1024) return text;
  static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1023.95 && unit < 5) {
    value /= 1024;
    ++unit;
  }
  return text + " (" + fixed(value, 1) + " " + units[unit] + ")";
}

std::optional<std::uint64_t> free_space(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::path place = std::filesystem::absolute(path, ignored);
  struct statvfs facts {};
  while (::statvfs(place.c_str(), &facts) != 0) {
    if (!place.has_parent_path() || place == place.parent_path()) return std::nullopt;
    place = place.parent_path();
  }
  if (facts.f_blocks == 0) return std::nullopt;  // a file system that does not count reports 0 of 0
  const auto blocks = ::geteuid() == 0 ? facts.f_bfree : facts.f_bavail;
  return static_cast<std::uint64_t>(blocks) * facts.f_frsize;
}

void fail_io(std::string_view action, const std::filesystem::path& path, int error,
             std::optional<std::uint64_t> wanted) {
  std::string message = "cannot " + std::string(action) + " " + path.string() + ": " +
                        std::generic_category().message(error);
  if (wanted) {
    message += "\n  wanted " + format_bytes(*wanted);
    if (const auto free = free_space(path)) {
      message += ", free on that file system: " + format_bytes(*free);
    }
  }
  throw Error(ErrorKind::storage, message, help_for(error));
}

}  // namespace qhost::storage
