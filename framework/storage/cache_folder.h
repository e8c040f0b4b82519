/// storage/cache_folder.h: where the user's machine keeps what qhost can compute again.
#pragma once

#include <filesystem>

namespace qhost::storage {

/// $XDG_CACHE_HOME/qhost, or ~/.cache/qhost where that is not set or relative; empty without a
/// home. It need not exist.
std::filesystem::path cache_folder();

}  // namespace qhost::storage
