/// common/user_folders.h: the user's folders by the XDG base directory specification.
#pragma once

#include <filesystem>

namespace qhost {

/// $XDG_DATA_HOME, or ~/.local/share where that is not set or relative. Empty without a $HOME.
std::filesystem::path user_data_folder();
/// $XDG_CACHE_HOME, or ~/.cache where that is not set or relative. Empty without a $HOME.
std::filesystem::path user_cache_folder();

/// The path with $HOME in the place of a first "~", as a shell writes it: "~" or "~/sets". Any
/// other path, and every path without an absolute $HOME, stays.
std::filesystem::path with_home(const std::filesystem::path& path);

}  // namespace qhost
