#include "common/user_folders.h"

#include <cstdlib>
#include <iterator>

namespace qhost {
namespace {

namespace fs = std::filesystem;

/// Empty where it is not set. The specification ignores relative paths.
fs::path absolute_path(const char* variable) {
  const char* value = std::getenv(variable);
  const fs::path path = value == nullptr ? "" : value;
  return path.is_absolute() ? path : fs::path();
}

fs::path user_folder(const char* variable, const char* below_home) {
  if (const fs::path given = absolute_path(variable); !given.empty()) return given;
  const fs::path home = absolute_path("HOME");
  return home.empty() ? fs::path() : home / below_home;
}

}  // namespace

fs::path user_data_folder() {
  return user_folder("XDG_DATA_HOME", ".local/share");
}

fs::path user_cache_folder() {
  return user_folder("XDG_CACHE_HOME", ".cache");
}

fs::path with_home(const fs::path& path) {
  if (path.empty() || *path.begin() != "~") return path;
  const fs::path home = absolute_path("HOME");
  if (home.empty()) return path;
  fs::path result = home;
  for (auto part = std::next(path.begin()); part != path.end(); ++part) result /= *part;
  return result;
}

}  // namespace qhost
