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

/// Lines of an error about a missing component, indented by two spaces, and what to do.
struct Explanation {
  std::string lines;
  std::vector<std::string> helps;
  /// The lines, then each help as Error::what() shows it.
  std::string text() const;
};

/// Why there is no such component: the refused file that provides it, with its help; else the
/// folders that were searched and all files that were refused there, without a help.
Explanation where_searched(const MissingComponent& missing);

/// The same, with similar names, all names of the kind, and always with a help.
Explanation explain(const MissingComponent& missing);

}  // namespace qhost
