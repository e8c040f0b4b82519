#include "registry/scan.h"

#include <algorithm>
#include <utility>

#include "registry/loader.h"
#include "registry/refusal.h"
#include "registry/stamp.h"

namespace qhost {
namespace {

void refuse(PluginStatus& status, std::string reason, const std::string& help) {
  status.usable = false;
  status.reasons.push_back(std::move(reason));
  if (std::find(status.help.begin(), status.help.end(), help) == status.help.end()) {
    status.help.push_back(help);
  }
}

void check_trust(PluginStatus& status, bool allow_insecure) {
  Trust trust = judge(status.file);
  for (std::string& warning : trust.warnings) status.warnings.push_back(std::move(warning));
  for (std::string& refusal : trust.refusals) {
    if (allow_insecure) {
      status.warnings.push_back(std::move(refusal));
    } else {
      refuse(
          status, std::move(refusal),
          "correct the owner or the permissions, or accept the risk by --allow-insecure-plugins");
    }
  }
}

void hide_later_files(Scan& scan) {
  std::map<std::string, std::filesystem::path> first;
  for (PluginStatus& status : scan.files) {
    if (!status.usable) continue;
    const auto [earlier, is_first] = first.emplace(status.name, status.file);
    if (!is_first) {
      refuse(status,
             "it is hidden by " + earlier->second.string() +
                 ", a plugin of the same name that is found first",
             "remove or rename one of the two");
    }
  }
}

void refuse_contested(Scan& scan) {
  std::map<std::string, std::vector<std::size_t>> providers;
  for (std::size_t i = 0; i < scan.files.size(); ++i) {
    if (!scan.files[i].usable) continue;
    for (const std::string& key : scan.files[i].provides) providers[key].push_back(i);
  }
  for (auto& [key, indices] : providers) {
    if (indices.size() < 2) continue;
    const std::filesystem::path& first = scan.files[indices.front()].file;
    for (std::size_t i = 1; i < indices.size(); ++i) {
      PluginStatus& later = scan.files[indices[i]];
      refuse(later, "it provides " + key + ", and so does " + first.string(),
             "remove one of the two files, or rename the component in one");
      scan.files[indices.front()].warnings.push_back("it provides " + key + ", and so does " +
                                                     later.file.string());
    }
    scan.contested.emplace(key, std::move(indices));
  }
}

}  // namespace

PluginStatus examine(const std::filesystem::path& file, bool allow_insecure) {
  PluginStatus status;
  status.file = file;
  status.name = file.stem().string();
  status.usable = true;
  check_trust(status, allow_insecure);
  try {
    const Stamp stamp = read_stamp(file);
    status.version = stamp.version;
    status.provides = stamp.provides;
    if (stamp.name != status.name) {
      refuse(status, "its stamp names it \"" + stamp.name + "\"",
             "rename the file to " + stamp.name + ".so");
      status.name = stamp.name;
    }
    for (const StampMismatch& mismatch : compare(stamp, host_stamp())) {
      if (mismatch.refuses) {
        refuse(status, mismatch.text(), rebuild_help());
      } else {
        status.warnings.push_back(mismatch.text());
      }
    }
  } catch (const PluginRefusal& refusal) {
    refuse(status, refusal.clause(), refusal.helps().front());
  }
  return status;
}

Scan scan(const std::vector<SearchDirectory>& directories, bool allow_insecure) {
  Scan result;
  for (const SearchDirectory& directory : directories) {
    if (!directory.exists || !directory.ignored.empty()) continue;
    try {
      for (const std::filesystem::path& file : plugin_files(directory.path)) {
        result.files.push_back(examine(file, allow_insecure));
      }
    } catch (const PluginRefusal& refusal) {
      PluginStatus status;
      status.file = directory.path;
      refuse(status, refusal.clause(), refusal.helps().front());
      result.files.push_back(std::move(status));
    }
  }
  hide_later_files(result);
  refuse_contested(result);
  return result;
}

}  // namespace qhost
