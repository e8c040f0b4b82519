/// registry/staging.h: checks what a plugin registers before the registry takes it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/architecture.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"

namespace qhost {

/// The key of a component in a stamp and in the registry's tables: "quantizer:bwn".
std::string component_key(std::string_view kind, std::string_view name);
/// The name of a component in messages: `quantizer "bwn"`.
std::string component_text(std::string_view key);

/// Collects components until the caller takes them; none reaches the registry before. Each add
/// throws Error, kind plugin, for an ill-formed component or a name that is taken. A plugin that
/// swallows the exception is refused all the same: see failure().
class StagingRegistrar : public Registrar {
 public:
  /// `owner_of` returns the present owner of a component ("plugin bwn (FILE)"), or "".
  using OwnerOf = std::function<std::string(const std::string& key)>;
  explicit StagingRegistrar(OwnerOf owner_of);
  ~StagingRegistrar() override;

  void add_architecture(Architecture architecture) override;
  void add_quantizer(QuantizerMethod method) override;

  /// The first error, or "".
  const std::string& failure() const { return failure_; }
  /// The keys of the added components, sorted.
  std::vector<std::string> keys() const;

  std::map<std::string, Architecture> architectures;
  std::map<std::string, QuantizerMethod> quantizers;

 private:
  void check(const std::string& kind, const std::string& name, bool callable, const char* function,
             const std::vector<Option>& options, const std::vector<std::string>& reserved);
  [[noreturn]] void fail(const std::string& text);

  OwnerOf owner_of_;
  std::string failure_;
};

/// Calls `register_components`, which adds its components to `staging`. Throws std::runtime_error
/// with one clause: the plugin's exception, or a difference between the registered components and
/// `provides` (empty: no check).
void stage(StagingRegistrar& staging, const std::function<void(Registrar&)>& register_components,
           const std::vector<std::string>& provides);

}  // namespace qhost
