/// registry/scan.h: gate 0 over all folders: which files could be used, and why the others not.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "registry/search.h"

namespace qhost {

/// What became of one plugin file.
struct PluginStatus {
  std::filesystem::path file;
  std::string name;  ///< from the stamp; the file's stem where there is none
  std::string version;
  bool usable = false;
  std::vector<std::string>
      reasons;  ///< why not: clauses, "LibTorch version: 2.11.0 in the plugin, ..."
  std::vector<std::string> help;  ///< what to do about them
  std::vector<std::string> warnings;
  std::vector<std::string> provides;  ///< "quantizer:bwn"
};

struct Scan {
  std::vector<PluginStatus> files;  ///< in search order
  /// Components that several usable plugins provide: key -> indices into `files`.
  std::map<std::string, std::vector<std::size_t>> contested;
};

/// Reads the stamp of every *.so in the folders. Of two usable files with one plugin name the first
/// counts. Where two plugins provide one component, the later file is refused; both stand in
/// `contested`. A folder that cannot be read stands among the files with its reason.
Scan scan(const std::vector<SearchDirectory>& directories, bool allow_insecure);

/// Gate 0 for one file, whatever its folder holds besides.
PluginStatus examine(const std::filesystem::path& file, bool allow_insecure);

}  // namespace qhost
