#include "report/summary.h"

namespace qhost::report {
namespace {

using nlohmann::json;

json encoding_json(const std::optional<Encoding>& encoding) {
  return encoding ? json(to_string(*encoding)) : json(nullptr);
}

json method_json(const std::string& method) {
  return method.empty() ? json(nullptr) : json(method);
}

json layer_json(const SummaryLayer& layer) {
  return {{"name", layer.name},
          {"op", layer.op},
          {"detail", layer.detail},
          {"output_shape", layer.output.dims},
          {"parameters", layer.parameters},
          {"buffers", layer.buffers},
          {"macs", layer.macs},
          {"activation_bytes", layer.activation_bytes},
          {"weight_encoding", encoding_json(layer.weight)},
          {"weight_bits", layer.weight ? json(layer.weight->bits_per_weight()) : json(nullptr)},
          {"weight_method", method_json(layer.weight_method)},
          {"weight_bytes", layer.weight_bytes},
          {"input_encoding", encoding_json(layer.input)},
          {"input_bits", layer.input ? json(layer.input->bits_per_weight()) : json(nullptr)},
          {"input_method", method_json(layer.input_method)},
          {"bytes", layer.bytes},
          {"float_bytes", layer.float_bytes},
          {"note", layer.note}};
}

}  // namespace

json to_json(const Summary& summary) {
  json layers = json::array();
  for (const SummaryLayer& layer : summary.layers) layers.push_back(layer_json(layer));
  return {{"input_shape", summary.input.dims},
          {"parameters", summary.parameters},
          {"buffers", summary.buffers},
          {"macs", summary.macs},
          {"weight_bytes", summary.weight_bytes},
          {"float_weight_bytes", summary.float_weight_bytes},
          {"bits_per_weight", summary.bits_per_weight},
          {"bits_per_input", summary.bits_per_input},
          {"bytes", summary.bytes},
          {"float_bytes", summary.float_bytes},
          {"activation_bytes", summary.activation_bytes},
          {"peak_activation_bytes", summary.peak_activation_bytes},
          {"quantized_weights", summary.quantized_weights},
          {"quantized_inputs", summary.quantized_inputs},
          {"layers", std::move(layers)}};
}

}  // namespace qhost::report
