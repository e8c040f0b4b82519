#include "storage/cache_folder.h"

#include "common/user_folders.h"

namespace qhost::storage {

std::filesystem::path cache_folder() {
  const std::filesystem::path caches = user_cache_folder();
  return caches.empty() ? caches : caches / "qhost";
}

}  // namespace qhost::storage
