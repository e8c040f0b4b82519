/// registry/scan.h: gate 0 for all folders: the usable files, and why the others are unusable.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "registry/search.h"

namespace qhost {

/// The result for one plugin file.
struct PluginStatus {
  std::filesystem::path file;
  std::string name;  ///< from the stamp; without a stamp, the stem of the file name
  std::string version;
  bool usable = false;
  std::vector<std::string>
      reasons;  ///< why it is refused: clauses, "LibTorch version: 2.11.0 in the plugin, ..."
  std::vector<std::string> help;  ///< the help for each reason
  std::vector<std::string> warnings;
  std::vector<std::string> provides;  ///< "quantizer:bwn"
};

struct Scan {
  std::vector<PluginStatus> files;  ///< in search order
  /// Components that several usable plugins provide: key -> indices into `files`.
  std::map<std::string, std::vector<std::size_t>> contested;
};

/// Reads the stamp of every *.so in the folders. Of two usable files with one plugin name, the
/// first is used. If two plugins provide one component, the later file is refused and both are
/// listed in `contested`. A folder that cannot be read is listed among the files with its reason.
Scan scan(const std::vector<SearchDirectory>& directories, bool allow_insecure);

/// Gate 0 for one file, independent of the other files in its folder.
PluginStatus examine(const std::filesystem::path& file, bool allow_insecure);

}  // namespace qhost
