/// registry/search.h: the folders that are searched for plugins, and the files that are trusted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qhost {

struct SearchOptions {
  /// --plugin-path, in the given order. A relative path is relative to the working directory, since
  /// the user typed it. A path that does not exist is an error.
  std::vector<std::filesystem::path> plugin_paths;
  /// --allow-insecure-plugins: wrong ownership or permissions give a warning, not a refusal.
  bool allow_insecure = false;
  /// false: search only `plugin_paths`, not the environment, user folder or installation (for
  /// tests)
  bool default_paths = true;
};

/// A folder to search, which may not exist.
struct SearchDirectory {
  std::filesystem::path path;  ///< absolute; as written if it is ignored
  std::string origin;  ///< "--plugin-path", "QHOST_PLUGIN_PATH", "user folder", "installation"
  bool exists = false;
  std::string ignored;  ///< why it is not searched; empty if it is
};

/// The folders in search order: --plugin-path, QHOST_PLUGIN_PATH (colon list),
/// $XDG_DATA_HOME/qhost/plugins (default ~/.local/share), the installation (qhost/plugins beside
/// libqhost_core.so). The working directory is never searched implicitly: empty and relative
/// entries of the environment are ignored. Throws Error, kind configuration, for a --plugin-path
/// that is not a directory.
std::vector<SearchDirectory> search_directories(const SearchOptions& options);

/// The *.so files of one folder, sorted. Throws PluginRefusal for a folder that cannot be read.
std::vector<std::filesystem::path> plugin_files(const std::filesystem::path& directory);

/// The ownership check of a file. The owner of the file and of its folder must be root, the user,
/// or the owner of the qhost executable. Neither may be writable by all; writable by the group
/// gives a warning. For a symbolic link, the target file and its folder are checked as well.
struct Trust {
  std::vector<std::string> refusals;  ///< sentences; empty if the file is trusted
  std::vector<std::string> warnings;
};
Trust judge(const std::filesystem::path& file);

/// True if the file is in the plugin folder of the installation, whatever path leads there.
bool is_installed(const std::filesystem::path& file);

/// The folder of libqhost_core.so; of the executable, if the core is linked statically.
std::filesystem::path core_directory();

}  // namespace qhost
