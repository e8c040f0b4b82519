/// storage/cache_folder.h: the user's folder for what qhost can compute again.
#pragma once

#include <filesystem>

namespace qhost::storage {

/// $XDG_CACHE_HOME/qhost, or ~/.cache/qhost if that variable is unset or relative; empty without a
/// home. The folder may not exist yet.
std::filesystem::path cache_folder();

}  // namespace qhost::storage
