#include "storage/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "storage/atomic_file.h"
#include "storage/failpoint.h"
#include "storage/io_error.h"

namespace qhost::storage {
namespace fs = std::filesystem;

std::vector<std::string> folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) != 0) fail_io("create", folder, errno);
}

bool rename_to_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  // For file systems without RENAME_NOREPLACE: rename() replaces only an empty folder.
  if (errno == EINVAL && ::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  fail_io("create", to, errno);
}

void replace_folder(const fs::path& from, const fs::path& to) {
  if (rename_to_new(from, to)) return;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    std::error_code ignored;  // `from` has a temporary name, so a sweep removes what is left
    fs::remove_all(from, ignored);
    return;
  }
  if (errno != EINVAL) fail_io("replace", to, errno);
  retire_folder(to);
  if (!rename_to_new(from, to)) fail_io("replace", to, EEXIST);
}

void retire_folder(const fs::path& folder) noexcept {
  try {
    const fs::path retired = folder.parent_path() / temporary_name();
    if (::rename(folder.c_str(), retired.c_str()) != 0) return;
    failpoint("checkpoint.removal");
    std::error_code ignored;
    fs::remove_all(retired, ignored);
  } catch (...) {  // out of memory: a sweep removes the folder later
  }
}

void point_link(const fs::path& link, const std::string& target,
                const std::string& failpoint_name) {
  const fs::path temporary = link.parent_path() / temporary_name();
  if (::symlink(target.c_str(), temporary.c_str()) != 0) fail_io("create", link, errno);
  failpoint(failpoint_name + ".before-rename");
  if (::rename(temporary.c_str(), link.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_io("replace", link, error);
  }
  failpoint(failpoint_name + ".after-rename");
  sync_folder(link.parent_path());
}

}  // namespace qhost::storage
