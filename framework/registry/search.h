/// registry/search.h: where plugins are looked for, and whose files are trusted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qhost {

struct SearchOptions {
  /// --plugin-path, in the order given; relative ones are meant from the working directory, since
  /// the user typed them. One that does not exist is an error.
  std::vector<std::filesystem::path> plugin_paths;
  /// --allow-insecure-plugins: what ownership and permissions would refuse only warns.
  bool allow_insecure = false;
  /// false: only `plugin_paths`, no environment, user folder or installation (tests).
  bool default_paths = true;
};

/// A folder that is searched, whether or not it exists.
struct SearchDirectory {
  std::filesystem::path path;  ///< absolute; as written where it is ignored
  std::string origin;  ///< "--plugin-path", "QHOST_PLUGIN_PATH", "user folder", "installation"
  bool exists = false;
  std::string ignored;  ///< not empty: why it is not searched
};

/// The folders in order: --plugin-path, QHOST_PLUGIN_PATH (colon list),
/// $XDG_DATA_HOME/qhost/plugins (default ~/.local/share), the installation (qhost/plugins beside
/// libqhost_core.so). The working directory is never one of them: empty and relative entries of the
/// environment are ignored. Throws Error, kind configuration, for a --plugin-path that is no
/// directory.
std::vector<SearchDirectory> search_directories(const SearchOptions& options);

/// The *.so files of one folder, sorted; a folder that cannot be read throws PluginRefusal.
std::vector<std::filesystem::path> plugin_files(const std::filesystem::path& directory);

/// What the rules of ownership say about a file: its owner and that of its folder must be root, the
/// user, or the owner of the qhost executable; neither may be writable by all; writable by the
/// group warns. A symbolic link is judged by the file and folder it leads to as well.
struct Trust {
  std::vector<std::string> refusals;  ///< sentences; empty when trusted
  std::vector<std::string> warnings;
};
Trust judge(const std::filesystem::path& file);

/// Whether the file lies in the installation's folder of plugins, whatever path led there.
bool is_installed(const std::filesystem::path& file);

/// The folder of libqhost_core.so (of the executable where the core is linked statically).
std::filesystem::path core_directory();

}  // namespace qhost
