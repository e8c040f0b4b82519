#include <cmath>
#include <cstdio>

#include "report/score.h"
#include "report/table.h"

namespace qhost::report {
namespace {

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string whole(double value) {
  return value == 0 ? "-" : with_separators(std::llround(value));
}

std::string bits(const std::optional<double>& value) {
  return value ? formatted("%g", *value) : "-";
}

// In the text alone: a share is of the whole score.
double share(const Score& score, double storage, double operations) {
  const double part =
      storage / score.reference.parameters + operations / score.reference.operations;
  return score.score > 0 ? part / score.score : 0;
}

/// Most networks have none: their tables do without the column.
bool has_zeros(const Score& score) {
  return score.zeros.value_or(0) > 0;
}

std::string table(const Score& score) {
  std::vector<Column> columns = {{"layer"},
                                 {"operation"},
                                 {"weight bits", Align::right},
                                 {"input bits", Align::right},
                                 {"values", Align::right},
                                 {"storage", Align::right},
                                 {"operations", Align::right},
                                 {"weighted", Align::right},
                                 {"share", Align::right}};
  const auto zeros_at = [](auto& list) { return list.begin() + 4; };
  if (has_zeros(score)) columns.insert(zeros_at(columns), {"zeros", Align::right});
  Table table(columns);
  const auto add_row = [&](std::vector<std::string> cells, const std::string& zeros) {
    if (has_zeros(score)) cells.insert(zeros_at(cells), zeros);
    table.add_row(cells);
  };
  double values = 0, operations = 0;
  for (const ScoreLayer& layer : score.layers) {
    if (layer.stored.empty() && layer.computed.empty()) continue;
    values += layer.stored_values();
    operations += layer.operation_count();
    add_row({layer.name, layer.detail, bits(layer.weight_bits), bits(layer.input_bits),
             whole(layer.stored_values()), whole(layer.storage()), whole(layer.operation_count()),
             whole(layer.operations()),
             formatted("%.1f %%", 100 * share(score, layer.storage(), layer.operations()))},
            layer.zeros ? with_separators(*layer.zeros) : "-");
  }
  table.add_rule();
  add_row({"total", "", "", "", whole(values), whole(score.stored_parameters), whole(operations),
           whole(score.counted_operations), "100 %"},
          with_separators(score.zeros.value_or(0)));
  return table.to_string();
}

std::string percent(double fraction) {
  return formatted("%.6g %%", 100 * fraction);
}

std::string accuracy(const Score& score) {
  const std::string asked = percent(score.reference.threshold) + " on " + score.reference.data_set;
  if (!score.accuracy) return "unknown; the rule asks for " + asked;
  return percent(*score.accuracy) + "; the rule asks for " + asked;
}

std::string verdict(const Score& score) {
  if (!score.qualifies) return "";
  return *score.qualifies ? "qualifies     yes\n" : "qualifies     no: " + score.why_not + "\n";
}

}  // namespace

std::string to_text(const Score& score) {
  const ScoreRuleInfo& rule = info(score.rule);
  const ScoreReference& reference = score.reference;
  std::string text =
      table(score) + "\n" +                                                              //
      "rule          " + rule.name + ": " + rule.summary + " (" + rule.source + ")\n" +  //
      "score         " + formatted("%.5g", score.score) + ", lower is better\n" +        //
      "storage       " + formatted("%.5g", score.storage) + " = " + whole(score.stored_parameters) +
      " / " + whole(reference.parameters) + " parameters of 32 bits\n" +  //
      "operations    " + formatted("%.5g", score.operations) + " = " +
      whole(score.counted_operations) + " / " + whole(reference.operations) +
      " operations of 32 bits\n" +                   //
      "reference     " + reference.network + "\n" +  //
      "accuracy      " + accuracy(score) + "\n" + verdict(score);
  for (const std::string& note : score.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace qhost::report
