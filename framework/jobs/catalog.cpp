#include "jobs/catalog.h"

#include "data/dataset.h"

namespace qhost::jobs {
namespace {

/// The name in the registry for an experiment's kind of component.
std::string registry_kind(const std::string& kind) {
  return kind == "model" ? "architecture" : "quantizer";
}

}  // namespace

const std::vector<Option>* ComponentCatalog::find(const std::string& kind,
                                                  const std::string& name) {
  if (kind == "data") {
    const data::DatasetInfo* info = data::find_dataset(name);
    return info == nullptr ? nullptr : &info->options;
  }
  if (!registry_.has(registry_kind(kind), name)) {
    // A refused file that provides the component is another error (plugin) than an unknown name.
    try {
      if (kind == "model") return &registry_.architecture(name).options;
      return &registry_.quantizer(name).options;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::plugin) throw;
      return nullptr;
    }
  }
  if (kind == "model") return &registry_.architecture(name).options;
  return &registry_.quantizer(name).options;
}

std::vector<std::string> ComponentCatalog::names(const std::string& kind) {
  if (kind == "data") {
    std::vector<std::string> names;
    for (const data::DatasetInfo& info : data::datasets()) names.push_back(info.name);
    return names;
  }
  return registry_.names(registry_kind(kind));
}

std::vector<std::string> ComponentCatalog::default_keep_float(const std::string& quantizer) {
  return registry_.quantizer(quantizer).keep_float;
}

std::string ComponentCatalog::explain_missing(const std::string& kind, const std::string& name) {
  if (kind == "data") return "";
  const std::string text = registry_.explain_missing(registry_kind(kind), name).text();
  return text.substr(text.find_first_not_of(' '));
}

}  // namespace qhost::jobs
