/// Golden files of tools/golden/optimizers.py: JSON with hexadecimal floats.
#pragma once

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "qhost/options.h"

namespace qhost::training {

inline nlohmann::json golden(const std::string& name) {
  const std::string path = QHOST_SOURCE_DIR "/tests/golden/optimizers/" + name + ".json";
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error("cannot read " + path);
  }
  return nlohmann::json::parse(file);
}

inline std::vector<double> numbers(const nlohmann::json& hexadecimal) {
  std::vector<double> values;
  for (const auto& text : hexadecimal) {
    values.push_back(std::strtod(text.get<std::string>().c_str(), nullptr));
  }
  return values;
}

/// The declared defaults, replaced by the members of `given`.
inline Options options_from(const std::vector<Option>& declared, const nlohmann::json& given) {
  std::map<std::string, OptionValue> values;
  for (const auto& [key, value] : given.items()) {
    if (value.is_boolean()) {
      values[key] = value.get<bool>();
    } else if (value.is_number_integer()) {
      values[key] = value.get<std::int64_t>();
    } else if (value.is_number()) {
      values[key] = value.get<double>();
    } else if (value.is_string()) {
      values[key] = value.get<std::string>();
    } else {
      values[key] = value.get<std::vector<std::int64_t>>();
    }
  }
  return Options::from(declared, values);
}

}  // namespace qhost::training
