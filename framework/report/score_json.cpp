#include "report/score.h"

namespace qhost::report {
namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json items_json(const std::vector<ScoreItem>& items) {
  json list = json::array();
  for (const ScoreItem& item : items) {
    list.push_back({{"what", item.what}, {"count", item.count}, {"bits", item.bits}});
  }
  return list;
}

json layer_json(const ScoreLayer& layer) {
  return {{"name", layer.name},
          {"op", layer.op},
          {"detail", layer.detail},
          {"weight_bits", or_null(layer.weight_bits)},
          {"input_bits", or_null(layer.input_bits)},
          {"zeros", or_null(layer.zeros)},
          {"storage", layer.storage()},
          {"operations", layer.operations()},
          {"stored", items_json(layer.stored)},
          {"computed", items_json(layer.computed)}};
}

json uniform_json(const std::optional<UniformBits>& uniform) {
  if (!uniform) return nullptr;
  return {{"weight_bits", uniform->weight_bits}, {"input_bits", uniform->input_bits}};
}

}  // namespace

json to_json(const Score& score) {
  json layers = json::array();
  for (const ScoreLayer& layer : score.layers) layers.push_back(layer_json(layer));
  return {{"rule", info(score.rule).name},
          {"score", score.score},
          {"storage", score.storage},
          {"operations", score.operations},
          {"threshold", score.reference.threshold},
          {"accuracy", or_null(score.accuracy)},
          {"qualifies", or_null(score.qualifies)},
          {"why_not", score.why_not.empty() ? json(nullptr) : json(score.why_not)},
          {"data_set", score.reference.data_set},
          {"reference",
           {{"network", score.reference.network},
            {"parameters", score.reference.parameters},
            {"operations", score.reference.operations}}},
          {"stored_parameters", score.stored_parameters},
          {"counted_operations", score.counted_operations},
          {"freebie", score.freebie},
          {"without_freebie", or_null(score.without_freebie)},
          {"uniform", uniform_json(score.uniform)},
          {"zeros", or_null(score.zeros)},
          {"notes", score.notes},
          {"layers", std::move(layers)}};
}

}  // namespace qhost::report
