/// registry/registry.h: all architectures and quantizers by name, built in or from plugins.
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
#include "registry/explain.h"
#include "registry/scan.h"
#include "registry/search.h"

namespace qhost {

/// One component that an experiment can name.
struct ComponentEntry {
  std::string kind;  ///< "architecture" or "quantizer"
  std::string name;
  std::string plugin;
  std::string version;  ///< version of the plugin
  std::string summary;
  std::filesystem::path file;  ///< empty for a built-in component
};

/// The components of all plugin folders. The first query scans the folders once and reads stamps
/// only. A component's file is opened when the component is requested; no other file is loaded.
///
/// If two usable files have the same plugin name, the first one found is used and the other is
/// reported as hidden by it. Two different plugins that provide one component are an error that
/// names both. Not thread-safe. References that it returns are valid as long as the registry.
class Registry {
 public:
  /// Throws Error, kind configuration, for a --plugin-path that is not a directory.
  explicit Registry(SearchOptions options);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The component of that name. Throws Error: kind configuration (exit 2) if no file provides it,
  /// with near matches, the existing names, the searched folders and the refused files; kind plugin
  /// (exit 3) if the file that provides it was refused, or if two files provide it.
  const Architecture& architecture(const std::string& name);
  const QuantizerMethod& quantizer(const std::string& name);

  /// The plugin of a component that architecture() or quantizer() returned; "" for any other.
  std::string plugin_of(const std::string& kind, const std::string& name) const;

  /// The sorted names of that kind. Loads nothing.
  std::vector<std::string> names(const std::string& kind);
  /// Whether a usable file's stamp (or a built-in) provides that component. Loads nothing.
  bool has(const std::string& kind, const std::string& name);
  /// The searched folders and the files refused there, as where_searched() gives them, for a caller with its
  /// own message for an unknown component.
  Explanation explain_missing(const std::string& kind, const std::string& name);

  /// All components, sorted by kind and name. Opens every usable file; a file that fails is left
  /// out, and plugins() gives its reason.
  std::vector<ComponentEntry> list();
  /// All plugin files in search order, unusable ones included. Opens nothing.
  std::vector<PluginStatus> plugins();
  /// The searched folders, in search order.
  const std::vector<SearchDirectory>& directories() const;

  /// A plugin in use, as a run records it.
  struct Loaded {
    std::string name, version;
    std::filesystem::path path;
    std::string sha256;      ///< of the file, in hexadecimal
    bool installed = false;  ///< its file is in the folder of the installation
  };
  std::vector<Loaded> loaded() const;
  /// The files that provide the given components, without duplicates; a built-in component has
  /// none. `components` are pairs of kind and name; they are opened as by architecture() and
  /// quantizer().
  std::vector<Loaded> files_of(const std::vector<std::pair<std::string, std::string>>& components);
  bool insecure_allowed() const;

  /// Registers a component that is linked in; a file with the same component is an error. Throws
  /// Error, kind plugin, like the registration of a file.
  void add_builtin(const std::string& plugin, const std::string& version,
                   const std::function<void(Registrar&)>& register_components);
  void add_builtin(const PluginDescriptor& descriptor);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qhost
