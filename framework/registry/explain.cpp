#include "registry/explain.h"

#include <algorithm>

#include "common/near_match.h"

namespace qhost {
namespace {

std::string quoted_list(const std::vector<std::string>& words, const char* last_joint) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? last_joint : ", ";
    text += "\"" + words[i] + "\"";
  }
  return text;
}

std::string directory_line(const SearchDirectory& directory) {
  std::string text = directory.path.string() + "  (" + directory.origin;
  if (!directory.ignored.empty()) {
    text += "; ignored: " + directory.ignored;
  } else if (!directory.exists) {
    text += "; there is no such folder";
  }
  return text + ")";
}

}  // namespace

std::vector<const PluginStatus*> refused_providers(const MissingComponent& missing) {
  const std::string key = missing.kind + ":" + missing.name;
  std::vector<const PluginStatus*> found;
  for (const PluginStatus& status : missing.scan.files) {
    if (status.usable) continue;
    const bool stamped =
        std::find(status.provides.begin(), status.provides.end(), key) != status.provides.end();
    if (stamped || (status.provides.empty() && status.name == missing.name)) {
      found.push_back(&status);
    }
  }
  return found;
}

std::string describe_refused(const PluginStatus& status) {
  std::string text = "  " + status.file.string() + "\n";
  for (const std::string& reason : status.reasons) text += "    " + reason + "\n";
  return text;
}

std::string help_lines(const std::vector<const PluginStatus*>& files) {
  std::vector<std::string> seen;
  std::string text;
  for (const PluginStatus* status : files) {
    for (const std::string& help : status->help) {
      if (std::find(seen.begin(), seen.end(), help) != seen.end()) continue;
      seen.push_back(help);
      text += (text.empty() ? "help: " : "\nhelp: ") + help;
    }
  }
  return text;
}

std::string where_searched(const MissingComponent& missing) {
  const auto providers = refused_providers(missing);
  if (!providers.empty()) {
    std::string refused = "  its plugin was refused:\n";
    for (const PluginStatus* status : providers) refused += describe_refused(*status);
    return refused + help_lines(providers);
  }
  std::string text;
  const auto& other = missing.names_of_other_kind;
  if (std::find(other.begin(), other.end(), missing.name) != other.end()) {
    text += "  \"" + missing.name + "\" is " +
            (missing.kind == "quantizer" ? "an architecture" : "a quantizer") + "\n";
  }
  text += "  searched:\n";
  for (const SearchDirectory& directory : missing.directories) {
    text += "    " + directory_line(directory) + "\n";
  }
  bool any_refused = false;
  for (const PluginStatus& status : missing.scan.files) {
    if (status.usable) continue;
    if (!any_refused) text += "  refused:\n";
    any_refused = true;
    text +=
        "    " + status.file.string() + ": " +
        (status.reasons.empty() ? "" : status.reasons.front()) +
        (status.reasons.size() > 1 ? " (and " + std::to_string(status.reasons.size() - 1) + " more)"
                                   : "") +
        "\n";
  }
  return text;
}

std::string explain(const MissingComponent& missing) {
  if (!refused_providers(missing).empty()) return where_searched(missing);
  std::string text;
  const auto near = near_matches(missing.name, missing.names);
  if (!near.empty()) text += "  did you mean " + quoted_list(near, " or ") + "?\n";
  text += "  found: " + (missing.names.empty() ? "none" : quoted_list(missing.names, ", ")) + "\n";
  return text + where_searched(missing) +
         "help: `qhost list` shows all components; add a plugin's folder by --plugin-path FOLDER "
         "or QHOST_PLUGIN_PATH";
}

}  // namespace qhost
