/// jobs/catalog.h: the components that an experiment file may name, for the validation in config/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/load.h"
#include "registry/registry.h"

namespace qhost::jobs {

/// The data sets of data/, and models and quantizers of plugins. Looking up the options of a
/// component opens its plugin.
class ComponentCatalog : public config::Catalog {
 public:
  explicit ComponentCatalog(Registry& registry) : registry_(registry) {}
  const std::vector<Option>* find(const std::string& kind, const std::string& name) override;
  std::vector<std::string> names(const std::string& kind) override;
  std::vector<std::string> default_keep_float(const std::string& quantizer) override;
  std::string explain_missing(const std::string& kind, const std::string& name) override;

 private:
  Registry& registry_;
};

}  // namespace qhost::jobs
