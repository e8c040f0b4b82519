/// registry/explain.h: the messages about a component that no usable plugin provides.
#pragma once

#include <string>
#include <vector>

#include "registry/scan.h"

namespace qhost {

/// The input of the message; `names` are the names of the usable components of that kind.
struct MissingComponent {
  std::string kind;  ///< "architecture" or "quantizer"
  std::string name;
  std::vector<std::string> names;
  std::vector<std::string> names_of_other_kind;
  const std::vector<SearchDirectory>& directories;
  const Scan& scan;
};

/// The refused files that provide the component according to their stamp, or, without a readable
/// stamp, according to their file name.
std::vector<const PluginStatus*> refused_providers(const MissingComponent& missing);

/// Why there is no such component, as indented lines: the refused file that provides it, with its
/// help; else the folders that were searched and all files that were refused there.
std::string where_searched(const MissingComponent& missing);

/// The lines of the message after the first. Each is indented by two spaces, except the last:
/// "help: ".
std::string explain(const MissingComponent& missing);

/// The indented lines for one refused file: its path and the reasons.
std::string describe_refused(const PluginStatus& status);
/// "help: " lines for several files, without duplicates.
std::string help_lines(const std::vector<const PluginStatus*>& files);

}  // namespace qhost
