#include "common/user_folders.h"

#include <cstdlib>

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

}  // namespace qhost
