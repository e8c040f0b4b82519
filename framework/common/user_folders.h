/// common/user_folders.h: the user's folders by the XDG base directory specification.
#pragma once

#include <filesystem>

namespace qhost {

/// $XDG_DATA_HOME, or ~/.local/share where that is not set or relative. Empty without a $HOME.
std::filesystem::path user_data_folder();
/// $XDG_CACHE_HOME, or ~/.cache where that is not set or relative. Empty without a $HOME.
std::filesystem::path user_cache_folder();

}  // namespace qhost
