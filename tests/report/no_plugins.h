/// A catalog of the built-in data sets, without any plugin.
#pragma once

#include <string>
#include <vector>

#include "config/load.h"
#include "data/dataset.h"

namespace qhost::report {

class NoPlugins : public config::Catalog {
 public:
  const std::vector<Option>* find(const std::string& kind, const std::string& name) override {
    const data::DatasetInfo* set = kind == "data" ? data::find_dataset(name) : nullptr;
    return set == nullptr ? nullptr : &set->options;
  }
  std::vector<std::string> names(const std::string&) override { return {}; }
  std::vector<std::string> default_keep_float(const std::string&) override { return {}; }
  std::string explain_missing(const std::string&, const std::string&) override { return ""; }
};

}  // namespace qhost::report
