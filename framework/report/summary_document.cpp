#include "common/number_text.h"
#include "report/summary.h"

namespace qhost::report {
namespace {

using nlohmann::json;

bool is_shown(const SummaryLayer& layer) {
  return layer.parameters > 0 || layer.buffers > 0 || layer.macs > 0 || layer.weight ||
         layer.input || !layer.note.empty();
}

std::string all_notes(const SummaryLayer& layer) {
  const bool both = !layer.elision_note.empty() && !layer.note.empty();
  return layer.elision_note + (both ? "; " : "") + layer.note;
}

Cell encoding_cell(const std::optional<Encoding>& encoding, const std::string& method) {
  if (!encoding) return {nullptr, "-"};
  const std::string text = to_string(*encoding);
  return {text, method.empty() ? text : text + " (" + method + ")"};
}

Cell bits_cell(const std::optional<Encoding>& encoding) {
  if (!encoding) return {nullptr, "-"};
  const auto bits = encoding->bits_per_weight();
  return {bits, std::to_string(bits)};
}

Cell method_cell(const std::string& method) {
  return json_cell(method.empty() ? json(nullptr) : json(method));
}

Cell count_cell(std::int64_t number) {
  return {number, number == 0 ? "-" : with_separators(number)};
}

Table layer_table(const Summary& summary, bool every_node) {
  Table table("layers", {{"name", "layer"},
                         {"op", ""},
                         {"detail", "operation"},
                         {"output_shape", "output"},
                         {"parameters", "parameters", Align::right},
                         {"buffers", ""},
                         {"macs", "MACs", Align::right},
                         {"activation_bytes", ""},
                         {"weight_encoding", "weights"},
                         {"input_encoding", "inputs"},
                         {"weight_bits", "bits", Align::right},
                         {"weight_method", ""},
                         {"weight_bytes", ""},
                         {"input_bits", ""},
                         {"input_method", ""},
                         {"bytes", "bytes", Align::right},
                         {"float_bytes", ""},
                         {"note", ""}});
  for (const SummaryLayer& layer : summary.layers) {
    table.add_row({layer.name,
                   layer.op,
                   layer.detail,
                   {layer.output.dims, to_string(layer.output)},
                   count_cell(layer.parameters),
                   json_cell(layer.buffers),
                   count_cell(layer.macs),
                   json_cell(layer.activation_bytes),
                   encoding_cell(layer.weight, layer.weight_method),
                   encoding_cell(layer.input, layer.input_method),
                   bits_cell(layer.weight),
                   method_cell(layer.weight_method),
                   json_cell(layer.weight_bytes),
                   bits_cell(layer.input),
                   method_cell(layer.input_method),
                   count_cell(layer.bytes),
                   json_cell(layer.float_bytes),
                   all_notes(layer)},
                  every_node || is_shown(layer) ? Form::both : Form::json);
  }
  table.add_rule();
  table.add_row({"total", "", "", "", with_separators(summary.parameters), "",
                 with_separators(summary.macs), "", "", "", significant(summary.bits_per_weight, 3),
                 "", "", "", "", with_separators(summary.bytes), "", ""},
                Form::text);
  return table;
}

std::string weights_text(const Summary& summary) {
  const double ratio = summary.weight_bytes > 0 ? static_cast<double>(summary.float_weight_bytes) /
                                                      static_cast<double>(summary.weight_bytes)
                                                : 1;
  return with_separators(summary.weight_bytes) + " bytes, " +
         significant(summary.bits_per_weight, 3) +
         " bits a weight (float32: " + with_separators(summary.float_weight_bytes) + " bytes, " +
         fixed(ratio, 1) + " times)";
}

Facts totals(const Summary& summary) {
  Facts facts = {
      {{"input_shape", summary.input.dims, "input", to_string(summary.input)},
       {"parameters", summary.parameters, "parameters", with_separators(summary.parameters)},
       {"buffers", summary.buffers},
       {"macs", summary.macs, "MACs", with_separators(summary.macs)},
       {"weight_bytes", summary.weight_bytes, "weights", weights_text(summary)},
       {"float_weight_bytes", summary.float_weight_bytes},
       {"bits_per_weight", summary.bits_per_weight},
       {"bits_per_input", summary.bits_per_input},
       {"bytes", summary.bytes, "all tensors",
        with_separators(summary.bytes) +
            " bytes (float32: " + with_separators(summary.float_bytes) + ")"},
       {"float_bytes", summary.float_bytes},
       {"activation_bytes", summary.activation_bytes, "activations",
        with_separators(summary.activation_bytes) + " bytes a sample in float32, at most " +
            with_separators(summary.peak_activation_bytes) + " at a time"},
       {"peak_activation_bytes", summary.peak_activation_bytes},
       {"quantized_weights", summary.quantized_weights, "quantized",
        "weights of " + std::to_string(summary.quantized_weights) + " layers, inputs of " +
            std::to_string(summary.quantized_inputs)},
       {"quantized_inputs", summary.quantized_inputs}}};
  if (summary.file_bytes) {
    facts.facts.push_back({"file_bytes", *summary.file_bytes, "packed file",
                           with_separators(*summary.file_bytes) + " bytes of tensors"});
  }
  return facts;
}

/// One line, however many layers there are.
Notes elision_note(const Summary& summary) {
  constexpr std::size_t named = 3;
  std::vector<const SummaryLayer*> layers;
  for (const SummaryLayer& layer : summary.layers) {
    if (!layer.elision_note.empty()) layers.push_back(&layer);
  }
  if (layers.empty()) return {};
  if (layers.size() == 1) return {"", {{layers[0]->name + ": " + layers[0]->elision_note}}};
  std::string text = std::to_string(layers.size()) + " layers read in front of a ReLU: ";
  const std::size_t shown = layers.size() <= named + 1 ? layers.size() : named;
  for (std::size_t i = 0; i < shown; ++i) {
    text += (i > 0 ? ", " : "") + layers[i]->name + " " + layers[i]->elision_note;
  }
  if (shown < layers.size()) {
    text += ", and " + std::to_string(layers.size() - shown) + " more (--json names all)";
  }
  return {"", {{text}}};
}

Notes layer_notes(const Summary& summary) {
  Notes notes;
  for (const SummaryLayer& layer : summary.layers) {
    if (!layer.note.empty()) notes.notes.push_back({layer.name + ": " + layer.note});
  }
  return notes;
}

}  // namespace

Document document_of(const Summary& summary, const SummaryOptions& options) {
  Document document;
  document.begin_section().add(layer_table(summary, options.every_node));
  document.begin_section()
      .add(totals(summary))
      .add(elision_note(summary))
      .add(layer_notes(summary));
  return document;
}

}  // namespace qhost::report
