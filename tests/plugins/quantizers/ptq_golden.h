/// Reading tests/golden/ptq, which tools/golden/ptq.py makes; shared by the tests of the plugin
/// ptq.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "slots.h"

namespace qhost::ptq {

using nlohmann::json;
using test::complaint;
using test::parameter;
using test::refusal;
using Given = std::map<std::string, OptionValue>;

inline json golden(const std::string& name) {
  std::ifstream file(QHOST_SOURCE_DIR "/tests/golden/ptq/" + name + ".json");
  return json::parse(file);
}

/// A list of hexadecimal texts as float32.
inline at::Tensor floats(const json& texts) {
  std::vector<float> list;
  for (const auto& text : texts) {
    list.push_back(std::strtof(text.get_ref<const std::string&>().c_str(), nullptr));
  }
  return at::tensor(list, at::kFloat);
}

/// The tensor of a recipe; see tools/golden/ptq.py for the formula.
inline at::Tensor made(const json& recipe) {
  const auto shape = recipe["shape"].get<std::vector<std::int64_t>>();
  const auto key = recipe["key"].get<std::uint64_t>();
  std::uint64_t count = 1;
  for (const std::int64_t d : shape) count *= static_cast<std::uint64_t>(d);
  std::vector<float> list;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t number = ((i * 2654435761U + key * 2246822519U) % (1ULL << 32)) >> 8;
    list.push_back(static_cast<float>(number) / 8388608.0F - 1.0F);
  }
  const at::Tensor t = at::tensor(list, at::kFloat);
  at::Tensor x = t * t * t * recipe["amplitude"].get<double>() + recipe["offset"].get<double>();
  if (recipe.value("relu", false)) x = x.clamp_min(0);
  x = x.reshape(shape);
  for (const auto& channel : recipe.value("zero_channels", json::array())) {
    x[channel.get<std::int64_t>()].zero_();
  }
  return x;
}

}  // namespace qhost::ptq
