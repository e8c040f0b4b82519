#include <cstdio>

#include "report/summary.h"
#include "report/table.h"

namespace qhost::report {
namespace {

bool is_shown(const SummaryLayer& layer) {
  return layer.parameters > 0 || layer.buffers > 0 || layer.macs > 0 || layer.weight ||
         layer.input || !layer.note.empty();
}

std::string encoding_text(const std::optional<Encoding>& encoding, const std::string& method) {
  if (!encoding) return "-";
  const std::string text = to_string(*encoding);
  return method.empty() ? text : text + " (" + method + ")";
}

std::string number_or_dash(std::int64_t number) {
  return number == 0 ? "-" : with_separators(number);
}

std::string fixed(double value, const char* format) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

void add_layer(Table& table, const SummaryLayer& layer) {
  table.add_row({layer.name, layer.detail, to_string(layer.output),
                 number_or_dash(layer.parameters), number_or_dash(layer.macs),
                 encoding_text(layer.weight, layer.weight_method),
                 encoding_text(layer.input, layer.input_method),
                 layer.weight ? std::to_string(layer.weight->bits_per_weight()) : "-",
                 number_or_dash(layer.bytes)});
}

std::string totals(const Summary& summary) {
  const double ratio = summary.weight_bytes > 0 ? static_cast<double>(summary.float_weight_bytes) /
                                                      static_cast<double>(summary.weight_bytes)
                                                : 1;
  return "input         " + to_string(summary.input) + "\n" +  //
         "parameters    " + with_separators(summary.parameters) + "\n" + "MACs          " +
         with_separators(summary.macs) + "\n" + "weights       " +
         with_separators(summary.weight_bytes) + " bytes, " +
         fixed(summary.bits_per_weight, "%.3g") +
         " bits a weight (float32: " + with_separators(summary.float_weight_bytes) + " bytes, " +
         fixed(ratio, "%.1f") + " times)\n" +  //
         "all tensors   " + with_separators(summary.bytes) +
         " bytes (float32: " + with_separators(summary.float_bytes) + ")\n" +  //
         "activations   " + with_separators(summary.activation_bytes) +
         " bytes a sample in float32, at most " + with_separators(summary.peak_activation_bytes) +
         " at a time\n" +  //
         "quantized     weights of " + std::to_string(summary.quantized_weights) +
         " layers, inputs of " + std::to_string(summary.quantized_inputs) + "\n";
}

}  // namespace

std::string to_text(const Summary& summary, const SummaryTextOptions& options) {
  Table table({{"layer"},
               {"operation"},
               {"output"},
               {"parameters", Align::right},
               {"MACs", Align::right},
               {"weights"},
               {"inputs"},
               {"bits", Align::right},
               {"bytes", Align::right}});
  std::string notes;
  for (const SummaryLayer& layer : summary.layers) {
    if (options.every_node || is_shown(layer)) add_layer(table, layer);
    if (!layer.note.empty()) notes += "note: " + layer.name + ": " + layer.note + "\n";
  }
  table.add_rule();
  table.add_row({"total", "", "", with_separators(summary.parameters),
                 with_separators(summary.macs), "", "", fixed(summary.bits_per_weight, "%.3g"),
                 with_separators(summary.bytes)});
  return table.to_string() + "\n" + totals(summary) + notes;
}

}  // namespace qhost::report
