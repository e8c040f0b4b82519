/// registry/registry.h: every architecture and quantizer by name, wherever it comes from.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qhost/architecture.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"
#include "registry/scan.h"
#include "registry/search.h"

namespace qhost {

/// One thing that an experiment can name.
struct ComponentEntry {
  std::string kind;  ///< "architecture" or "quantizer"
  std::string name;
  std::string plugin;
  std::string version;  ///< of the plugin
  std::string summary;
  std::filesystem::path file;  ///< empty for what is built in
};

/// Looks through the folders once, when first asked, reading stamps only. A component's file is
/// opened when the component is; a file that nobody asks for is never loaded.
///
/// Two usable files with the same plugin name: the one found first counts, the other is reported as
/// hidden by it. Two different plugins that provide one component are an error that names both.
/// Not for use by several threads at once. What it returns by reference lives as long as it does.
class Registry {
 public:
  /// Throws Error, kind configuration, for a --plugin-path that is no directory.
  explicit Registry(SearchOptions options);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The component of that name. Throws Error: kind configuration (exit 2) when no file provides
  /// it: near matches, the names there are, the folders searched, the files refused; kind plugin
  /// (exit 3) when the file that provides it was refused, or two provide it.
  const Architecture& architecture(const std::string& name);
  const QuantizerMethod& quantizer(const std::string& name);

  /// The plugin of a component that architecture() or quantizer() gave; "" for any other.
  std::string plugin_of(const std::string& kind, const std::string& name) const;

  /// The names of that kind, sorted; nothing is loaded.
  std::vector<std::string> names(const std::string& kind);
  /// Whether a usable file's stamp (or a built-in) has that component; nothing is loaded.
  bool has(const std::string& kind, const std::string& name);
  /// For a caller that has its own words for an unknown component: the folders that were searched
  /// and the files refused there, as indented lines.
  std::string explain_missing(const std::string& kind, const std::string& name);

  /// All components, sorted by kind and name. Opens every usable file; one that fails is left out
  /// and says why in plugins().
  std::vector<ComponentEntry> list();
  /// All plugin files in search order, also those that cannot be used. Opens nothing.
  std::vector<PluginStatus> plugins();
  /// The folders, in search order.
  const std::vector<SearchDirectory>& directories() const;

  /// A plugin that is in use, as a run records it.
  struct Loaded {
    std::string name, version;
    std::filesystem::path path;
    std::string sha256;      ///< of the file, hexadecimal
    bool installed = false;  ///< it lies in the installation's own folder
  };
  std::vector<Loaded> loaded() const;
  /// The files that the experiment's components come from, without repeats; what is built in has
  /// none. `components` are pairs of kind and name, which are opened as by architecture() and
  /// quantizer().
  std::vector<Loaded> files_of(const std::vector<std::pair<std::string, std::string>>& components);
  bool insecure_allowed() const;

  /// Registers what is linked in: a built-in never collides silently with a file.
  /// Throws Error, kind plugin, like the registration of a file.
  void add_builtin(const std::string& plugin, const std::string& version,
                   const std::function<void(Registrar&)>& register_components);
  void add_builtin(const PluginDescriptor& descriptor);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qhost
