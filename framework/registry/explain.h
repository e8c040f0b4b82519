/// registry/explain.h: the texts about components that an experiment names and nobody provides.
#pragma once

#include <string>
#include <vector>

#include "registry/scan.h"

namespace qhost {

/// Everything that the text needs; `names` are those of the usable components of that kind.
struct MissingComponent {
  std::string kind;  ///< "architecture" or "quantizer"
  std::string name;
  std::vector<std::string> names;
  std::vector<std::string> names_of_other_kind;
  const std::vector<SearchDirectory>& directories;
  const Scan& scan;
};

/// The refused files that provide the component: by their stamp, or, where no stamp could be read,
/// by their file's name.
std::vector<const PluginStatus*> refused_providers(const MissingComponent& missing);

/// Why there is no such component: the refused file that provides it, with its help, else the
/// folders that were searched and all files that were refused there; indented lines.
std::string where_searched(const MissingComponent& missing);

/// The lines after the first of the message; each is indented by two spaces but the last, "help: ".
std::string explain(const MissingComponent& missing);

/// Indented lines for one refused file: the path, then its reasons.
std::string describe_refused(const PluginStatus& status);
/// "help: " lines for several files, without repetition.
std::string help_lines(const std::vector<const PluginStatus*>& files);

}  // namespace qhost
