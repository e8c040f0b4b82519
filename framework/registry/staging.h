/// registry/staging.h: what one plugin's register function hands over, checked before it counts.
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

/// "quantizer:bwn": how a stamp and the registry's tables name a component.
std::string component_key(std::string_view kind, std::string_view name);
/// `quantizer "bwn"`: how messages name it.
std::string component_text(std::string_view key);

/// Collects components; nothing reaches the registry before the caller takes them. Each add throws
/// Error, kind plugin, for an ill-formed component or a name that is taken. A plugin that swallows
/// that exception is refused all the same: see failure().
class StagingRegistrar : public Registrar {
 public:
  /// `owner_of` answers who has a component already ("plugin bwn (FILE)"), or "".
  using OwnerOf = std::function<std::string(const std::string& key)>;
  explicit StagingRegistrar(OwnerOf owner_of);
  ~StagingRegistrar() override;

  void add_architecture(Architecture architecture) override;
  void add_quantizer(QuantizerMethod method) override;

  /// The first error, "" without one.
  const std::string& failure() const { return failure_; }
  /// Keys of what was added, sorted.
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

/// Calls `register_components` and returns what it added. Throws std::runtime_error with one
/// clause: what it threw, or what it registered and `provides` (empty: anything) does not list, or
/// the other way round.
void stage(StagingRegistrar& staging, const std::function<void(Registrar&)>& register_components,
           const std::vector<std::string>& provides);

}  // namespace qhost
