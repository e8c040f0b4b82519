/// The cases of tests/golden/kbit_methods/METHOD.json, which tools/golden/kbit_methods.py makes.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "qhost/options.h"
#include "slots.h"

namespace qhost::test {

inline nlohmann::json golden_cases(const std::string& method) {
  std::ifstream file(QHOST_SOURCE_DIR "/tests/golden/kbit_methods/" + method + ".json");
  const nlohmann::json document = nlohmann::json::parse(file, nullptr, false);
  if (!document.is_object()) ADD_FAILURE() << "no golden cases of " << method;
  return document.is_object() ? document["cases"] : nlohmann::json::array();
}

inline at::Tensor from_hexadecimal(const nlohmann::json& texts, std::vector<std::int64_t> shape) {
  std::vector<float> list;
  for (const auto& text : texts) {
    list.push_back(std::strtof(text.get_ref<const std::string&>().c_str(), nullptr));
  }
  return at::tensor(list, at::kFloat).reshape(shape);
}

/// A case's tensor of the input's shape: "input", "upstream", "value", "gradient".
inline at::Tensor golden_tensor(const nlohmann::json& which, const char* key) {
  return from_hexadecimal(which[key], which["shape"].get<std::vector<std::int64_t>>());
}

inline std::map<std::string, OptionValue> golden_options(const nlohmann::json& which) {
  std::map<std::string, OptionValue> given;
  for (const auto& [name, value] : which["options"].items()) {
    if (value.is_boolean()) {
      given[name] = value.get<bool>();
    } else if (value.is_number_integer()) {
      given[name] = value.get<std::int64_t>();
    } else if (value.is_number()) {
      given[name] = value.get<double>();
    } else {
      given[name] = value.get<std::string>();
    }
  }
  return given;
}

/// The slot of a case's weight or input tensor.
inline SlotInfo golden_weight_slot(const at::Tensor& w) {
  return w.dim() == 4 ? conv_weight_slot(w.size(0), w.size(1))
                      : linear_weight_slot(w.size(0), w.size(1));
}

inline SlotInfo golden_input_slot(const at::Tensor& x) {
  if (x.dim() == 2) return input_slot(Op::linear, {x.size(1)});
  return input_slot(Op::conv2d, {x.size(1), x.size(2), x.size(3)});
}

/// Equal within `ulps` units in the last place of the largest expected magnitude.
inline testing::AssertionResult within_ulps(const at::Tensor& got, const at::Tensor& expected,
                                            double ulps) {
  if (got.sizes() != expected.sizes()) {
    return testing::AssertionFailure() << "shapes " << got.sizes() << " and " << expected.sizes();
  }
  const double unit = std::ldexp(expected.abs().max().item<double>(), -23);
  const double difference =
      (got.detach().to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  if (difference <= ulps * unit) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "differ by " << difference << ", " << difference / unit << " units in the last place";
}

}  // namespace qhost::test
