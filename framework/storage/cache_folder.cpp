#include "storage/cache_folder.h"

#include <cstdlib>

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;

fs::path variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}

}  // namespace

fs::path cache_folder() {
  // The XDG specification says that a relative path must be ignored.
  const fs::path given = variable("XDG_CACHE_HOME");
  if (given.is_absolute()) return given / "qhost";
  const fs::path home = variable("HOME");
  return home.is_absolute() ? home / ".cache" / "qhost" : fs::path();
}

}  // namespace qhost::storage
