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

Explanation refused(const std::vector<const PluginStatus*>& files) {
  Explanation result{"  its plugin was refused:", {}};
  for (const PluginStatus* status : files) {
    result.lines += "\n  " + status->file.string();
    for (const std::string& reason : status->reasons) result.lines += "\n    " + reason;
    for (const std::string& help : status->help) {
      const bool is_new =
          std::find(result.helps.begin(), result.helps.end(), help) == result.helps.end();
      if (is_new) result.helps.push_back(help);
    }
  }
  return result;
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

std::string Explanation::text() const {
  std::string all = lines;
  for (const std::string& help : helps) all += "\nhelp: " + help;
  return all;
}

Explanation where_searched(const MissingComponent& missing) {
  const auto providers = refused_providers(missing);
  if (!providers.empty()) {
    return refused(providers);
  }
  std::string text;
  const auto& other = missing.names_of_other_kind;
  if (std::find(other.begin(), other.end(), missing.name) != other.end()) {
    text += "  \"" + missing.name + "\" is " +
            (missing.kind == "quantizer" ? "an architecture" : "a quantizer") + "\n";
  }
  text += "  searched:";
  for (const SearchDirectory& directory : missing.directories) {
    text += "\n    " + directory_line(directory);
  }
  bool any_refused = false;
  for (const PluginStatus& status : missing.scan.files) {
    if (status.usable) continue;
    if (!any_refused) text += "\n  refused:";
    any_refused = true;
    text +=
        "\n    " + status.file.string() + ": " +
        (status.reasons.empty() ? "" : status.reasons.front()) +
        (status.reasons.size() > 1 ? " (and " + std::to_string(status.reasons.size() - 1) + " more)"
                                   : "");
  }
  return {text, {}};
}

Explanation explain(const MissingComponent& missing) {
  Explanation where = where_searched(missing);
  if (!where.helps.empty()) return where;
  std::string text;
  const auto near = near_matches(missing.name, missing.names);
  if (!near.empty()) text += "  did you mean " + quoted_list(near, " or ") + "?\n";
  text += "  found: " + (missing.names.empty() ? "none" : quoted_list(missing.names, ", ")) + "\n";
  return {text + where.lines,
          {"`qhost list` shows all components; add a plugin's folder by --plugin-path FOLDER or "
           "QHOST_PLUGIN_PATH"}};
}

}  // namespace qhost
