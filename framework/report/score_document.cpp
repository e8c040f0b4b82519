#include <cmath>

#include "common/number_text.h"
#include "report/score.h"

namespace qhost::report {
namespace {

using nlohmann::json;

std::string whole(double value) {
  return value == 0 ? "-" : with_separators(std::llround(value));
}

Cell bits_cell(const std::optional<double>& value) {
  return {or_null(value), value ? significant(*value) : "-"};
}

json items_json(const std::vector<ScoreItem>& items) {
  json list = json::array();
  for (const ScoreItem& item : items) {
    list.push_back({{"what", item.what}, {"count", item.count}, {"bits", item.bits}});
  }
  return list;
}

// The share of the layer in the score.
std::string share(const Score& score, const ScoreLayer& layer) {
  const double part = layer.storage() / score.reference.parameters +
                      layer.operations() / score.reference.operations;
  return fixed(100 * (score.score > 0 ? part / score.score : 0), 1) + " %";
}

Table layer_table(const Score& score) {
  // The column is left out where no weight is zero.
  const char* zeros = score.zeros.value_or(0) > 0 ? "zeros" : "";
  Table table("layers", {{"name", "layer"},
                         {"op", ""},
                         {"detail", "operation"},
                         {"weight_bits", "weight bits", Align::right},
                         {"input_bits", "input bits", Align::right},
                         {"zeros", zeros, Align::right},
                         {"", "values", Align::right},
                         {"storage", "storage", Align::right},
                         {"", "operations", Align::right},
                         {"operations", "weighted", Align::right},
                         {"", "share", Align::right},
                         {"stored", ""},
                         {"computed", ""}});
  double values = 0, operations = 0;
  for (const ScoreLayer& layer : score.layers) {
    values += layer.stored_values();
    operations += layer.operation_count();
    const bool counted = !layer.stored.empty() || !layer.computed.empty();
    table.add_row({layer.name,
                   layer.op,
                   layer.detail,
                   bits_cell(layer.weight_bits),
                   bits_cell(layer.input_bits),
                   {or_null(layer.zeros), layer.zeros ? with_separators(*layer.zeros) : "-"},
                   whole(layer.stored_values()),
                   {layer.storage(), whole(layer.storage())},
                   whole(layer.operation_count()),
                   {layer.operations(), whole(layer.operations())},
                   share(score, layer),
                   json_cell(items_json(layer.stored)),
                   json_cell(items_json(layer.computed))},
                  counted ? Form::both : Form::json);
  }
  table.add_rule();
  table.add_row({"total", "", "", "", "", with_separators(score.zeros.value_or(0)), whole(values),
                 whole(score.stored_parameters), whole(operations), whole(score.counted_operations),
                 "100 %", "", ""},
                Form::text);
  return table;
}

std::string percent(double fraction) {
  return significant(100 * fraction) + " %";
}

std::string accuracy_text(const Score& score) {
  const std::string asked = percent(score.reference.threshold) + " on " + score.reference.data_set;
  if (!score.accuracy) return "unknown; the rule asks for " + asked;
  return percent(*score.accuracy) + "; the rule asks for " + asked;
}

/// "0.31 = 1,736,000 / 5,600,000 parameters of 32 bits"
std::string part_text(double part, double count, double reference, const char* what) {
  return significant(part, 5) + " = " + whole(count) + " / " + whole(reference) + " " + what +
         " of 32 bits";
}

Fact verdict(const Score& score) {
  if (!score.qualifies) return {"qualifies", nullptr};
  return {"qualifies", *score.qualifies, "qualifies",
          *score.qualifies ? "yes" : "no: " + score.why_not};
}

json uniform_json(const std::optional<UniformBits>& uniform) {
  if (!uniform) return nullptr;
  return {{"weight_bits", uniform->weight_bits}, {"input_bits", uniform->input_bits}};
}

Facts totals(const Score& score) {
  const ScoreRuleInfo& rule = info(score.rule);
  const ScoreReference& reference = score.reference;
  return {
      {{"rule", rule.name, "rule", rule.name + ": " + rule.summary + " (" + rule.source + ")"},
       {"score", score.score, "score", significant(score.score, 5) + ", lower is better"},
       {"storage", score.storage, "storage",
        part_text(score.storage, score.stored_parameters, reference.parameters, "parameters")},
       {"operations", score.operations, "operations",
        part_text(score.operations, score.counted_operations, reference.operations, "operations")},
       {"reference",
        {{"network", reference.network},
         {"parameters", reference.parameters},
         {"operations", reference.operations}},
        "reference",
        reference.network},
       {"accuracy", or_null(score.accuracy), "accuracy", accuracy_text(score)},
       verdict(score),
       {"why_not", score.why_not.empty() ? json(nullptr) : json(score.why_not)},
       {"threshold", reference.threshold},
       {"data_set", reference.data_set},
       {"stored_parameters", score.stored_parameters},
       {"counted_operations", score.counted_operations},
       {"freebie", score.freebie},
       {"without_freebie", or_null(score.without_freebie)},
       {"uniform", uniform_json(score.uniform)},
       {"zeros", or_null(score.zeros)}}};
}

}  // namespace

Document document_of(const Score& score) {
  Notes notes{"notes", {}};
  for (const std::string& note : score.notes) notes.notes.push_back({note});
  Document document;
  document.begin_section().add(layer_table(score));
  document.begin_section().add(totals(score)).add(std::move(notes));
  return document;
}

}  // namespace qhost::report
