#include "registry/registry.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "qhost/error.h"
#include "registry/explain.h"
#include "registry/loader.h"
#include "registry/refusal.h"
#include "registry/staging.h"
#include "storage/sha256.h"

namespace qhost {
namespace {

const std::string architecture_kind = "architecture";
const std::string quantizer_kind = "quantizer";

template <class T>
struct Owned {
  T component;
  std::string plugin, version;
  std::filesystem::path file;
};

std::string owner_text(const std::string& plugin, const std::filesystem::path& file) {
  return "plugin " + plugin + " (" + (file.empty() ? "built in" : file.string()) + ")";
}

}  // namespace

struct Registry::State {
  SearchOptions options;
  std::vector<SearchDirectory> directories;
  std::optional<Scan> scan_result;
  std::map<std::string, Owned<Architecture>> architectures;
  std::map<std::string, Owned<QuantizerMethod>> quantizers;
  std::set<std::filesystem::path> opened;
  std::vector<Loaded> loaded;

  Scan& scanned();
  std::string owner_of(const std::string& key) const;
  void commit(StagingRegistrar& staging, const std::string& plugin, const std::string& version,
              const std::filesystem::path& file);
  void load(PluginStatus& status);
  std::vector<std::string> names(const std::string& kind);
  MissingComponent missing(const std::string& kind, const std::string& name);
  void provide(const std::string& kind, const std::string& name);
};

Scan& Registry::State::scanned() {
  if (scan_result) return *scan_result;
  scan_result = scan(directories, options.allow_insecure);
  // A built-in component counts as a provider, like a file.
  for (PluginStatus& status : scan_result->files) {
    for (const std::string& key : status.provides) {
      const std::string owner = owner_of(key);
      if (owner.empty() || !status.usable) continue;
      status.usable = false;
      status.reasons.push_back("it provides " + key + ", and so does " + owner);
      status.help.emplace_back("remove the file, or rename the component in it");
      scan_result->contested[key].push_back(
          static_cast<std::size_t>(&status - scan_result->files.data()));
    }
  }
  return *scan_result;
}

std::string Registry::State::owner_of(const std::string& key) const {
  const std::string name = key.substr(key.find(':') + 1);
  if (key == component_key(architecture_kind, name)) {
    const auto found = architectures.find(name);
    if (found != architectures.end()) return owner_text(found->second.plugin, found->second.file);
  } else {
    const auto found = quantizers.find(name);
    if (found != quantizers.end()) return owner_text(found->second.plugin, found->second.file);
  }
  return "";
}

void Registry::State::commit(StagingRegistrar& staging, const std::string& plugin,
                             const std::string& version, const std::filesystem::path& file) {
  for (auto& [name, component] : staging.architectures) {
    architectures.emplace(name, Owned<Architecture>{std::move(component), plugin, version, file});
  }
  for (auto& [name, component] : staging.quantizers) {
    quantizers.emplace(name, Owned<QuantizerMethod>{std::move(component), plugin, version, file});
  }
}

void Registry::State::load(PluginStatus& status) {
  if (!opened.insert(status.file).second) return;
  try {
    Loaded record{status.name, status.version, status.file, storage::sha256_file(status.file),
                  is_installed(status.file)};
    const Stamp stamp = read_stamp(status.file);
    const PluginDescriptor& descriptor = open_plugin(status.file, stamp);
    StagingRegistrar staging([this](const std::string& key) { return owner_of(key); });
    try {
      stage(staging, descriptor.register_components, stamp.provides);
    } catch (const std::runtime_error& error) {
      throw PluginRefusal(
          status.file, "plugin \"" + status.name + "\" " + status.version + ": " + error.what(),
          "this is a defect of the plugin: report it to " + std::string(descriptor.origin));
    }
    commit(staging, status.name, status.version, status.file);
    loaded.push_back(std::move(record));
  } catch (const PluginRefusal& refusal) {
    status.usable = false;
    status.reasons.push_back(refusal.clause());
    status.help.push_back(refusal.helps().front());
  } catch (const Error& error) {  // for example: the file was removed meanwhile
    status.usable = false;
    status.reasons.emplace_back(error.what());
    status.help.emplace_back("start the command again");
  }
}

std::vector<std::string> Registry::State::names(const std::string& kind) {
  std::set<std::string> found;
  for (const PluginStatus& status : scanned().files) {
    if (!status.usable) continue;
    for (const std::string& key : status.provides) {
      const std::string name = key.substr(key.find(':') + 1);
      if (key == component_key(kind, name)) found.insert(name);
    }
  }
  if (kind == architecture_kind) {
    for (const auto& entry : architectures) found.insert(entry.first);
  } else if (kind == quantizer_kind) {
    for (const auto& entry : quantizers) found.insert(entry.first);
  }
  return {found.begin(), found.end()};
}

MissingComponent Registry::State::missing(const std::string& kind, const std::string& name) {
  const std::string& other = kind == quantizer_kind ? architecture_kind : quantizer_kind;
  return {kind, name, names(kind), names(other), directories, scanned()};
}

/// Loads the file that provides the component, unless it is already loaded.
void Registry::State::provide(const std::string& kind, const std::string& name) {
  const std::string key = component_key(kind, name);
  Scan& files = scanned();
  if (const auto contested = files.contested.find(key); contested != files.contested.end()) {
    std::string text = component_text(key) + " is provided by several plugins:";
    if (const std::string owner = owner_of(key); !owner.empty()) text += "\n  " + owner;
    for (const std::size_t index : contested->second) {
      const PluginStatus& status = files.files[index];
      if (owner_of(key) == owner_text(status.name, status.file)) continue;
      text += "\n  " + owner_text(status.name, status.file);
    }
    throw Error(ErrorKind::plugin, text,
                "remove all but one of them, or rename the component in one");
  }
  if (!owner_of(key).empty()) return;
  for (PluginStatus& status : files.files) {
    if (!status.usable ||
        std::find(status.provides.begin(), status.provides.end(), key) == status.provides.end()) {
      continue;
    }
    load(status);
    break;
  }
  if (!owner_of(key).empty()) return;
  const MissingComponent gone = missing(kind, name);
  const bool refused = !refused_providers(gone).empty();
  const Explanation why = explain(gone);
  Error error(
      refused ? ErrorKind::plugin : ErrorKind::configuration,
      (refused ? component_text(key) + " cannot be used" : "unknown " + component_text(key)) +
          "\n" + why.lines);
  for (const std::string& help : why.helps) error.add_help(help);
  throw error;
}

Registry::Registry(SearchOptions options) : state_(std::make_unique<State>()) {
  state_->directories = search_directories(options);
  state_->options = std::move(options);
}

Registry::~Registry() = default;

const Architecture& Registry::architecture(const std::string& name) {
  state_->provide(architecture_kind, name);
  return state_->architectures.at(name).component;
}

const QuantizerMethod& Registry::quantizer(const std::string& name) {
  state_->provide(quantizer_kind, name);
  return state_->quantizers.at(name).component;
}

std::vector<std::string> Registry::names(const std::string& kind) {
  return state_->names(kind);
}

bool Registry::has(const std::string& kind, const std::string& name) {
  const std::vector<std::string> all = state_->names(kind);
  return std::binary_search(all.begin(), all.end(), name);
}

Explanation Registry::explain_missing(const std::string& kind, const std::string& name) {
  return where_searched(state_->missing(kind, name));
}

std::vector<ComponentEntry> Registry::list() {
  for (PluginStatus& status : state_->scanned().files) {
    if (status.usable) state_->load(status);
  }
  std::vector<ComponentEntry> entries;
  for (const auto& [name, owned] : state_->architectures) {
    entries.push_back({architecture_kind, name, owned.plugin, owned.version,
                       owned.component.summary, owned.file});
  }
  for (const auto& [name, owned] : state_->quantizers) {
    entries.push_back(
        {quantizer_kind, name, owned.plugin, owned.version, owned.component.summary, owned.file});
  }
  return entries;
}

std::string Registry::plugin_of(const std::string& kind, const std::string& name) const {
  if (kind == architecture_kind) {
    const auto found = state_->architectures.find(name);
    return found == state_->architectures.end() ? "" : found->second.plugin;
  }
  const auto found = state_->quantizers.find(name);
  return found == state_->quantizers.end() ? "" : found->second.plugin;
}

std::vector<PluginStatus> Registry::plugins() {
  return state_->scanned().files;
}

const std::vector<SearchDirectory>& Registry::directories() const {
  return state_->directories;
}

std::vector<Registry::Loaded> Registry::loaded() const {
  return state_->loaded;
}

std::vector<Registry::Loaded> Registry::files_of(
    const std::vector<std::pair<std::string, std::string>>& components) {
  std::set<std::filesystem::path> files;
  for (const auto& [kind, name] : components) {
    state_->provide(kind, name);
    files.insert(kind == architecture_kind ? state_->architectures.at(name).file
                                           : state_->quantizers.at(name).file);
  }
  std::vector<Loaded> found;
  for (const Loaded& plugin : state_->loaded) {
    if (files.count(plugin.path) != 0) found.push_back(plugin);
  }
  return found;
}

bool Registry::insecure_allowed() const {
  return state_->options.allow_insecure;
}

void Registry::add_builtin(const std::string& plugin, const std::string& version,
                           const std::function<void(Registrar&)>& register_components) {
  if (state_->scan_result) {
    throw Error(ErrorKind::internal,
                "built-in plugin \"" + plugin + "\" was added after the registry had been asked",
                "call add_builtin() before anything else");
  }
  StagingRegistrar staging([this](const std::string& key) { return state_->owner_of(key); });
  try {
    stage(staging, register_components, {});
  } catch (const std::runtime_error& error) {
    throw Error(ErrorKind::plugin,
                "built-in plugin \"" + plugin + "\" " + version + ": " + error.what(),
                "this is a defect of the program");
  }
  state_->commit(staging, plugin, version, "");
}

void Registry::add_builtin(const PluginDescriptor& descriptor) {
  add_builtin(descriptor.name, descriptor.version, descriptor.register_components);
}

}  // namespace qhost
