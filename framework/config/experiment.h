/// config/experiment.h: a validated experiment: every key of every table has a value.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/diagnostic.h"
#include "qhost/error.h"
#include "qhost/options.h"

namespace qhost::config {

/// Where a value comes from.
struct Origin {
  enum class Kind { default_value, file, command_line };
  Kind kind = Kind::default_value;
  Span key, value;               ///< empty for a default
  std::vector<Span> overridden;  ///< the values it replaced, the latest first
  /// "experiments/wrn.toml:3:9", "command line:1:13" or "default"
  std::string to_string() const;
};

/// A component and its options: all that it declares, defaults filled in.
struct Component {
  std::string name;
  Options options;
  Span where;  ///< of the name, else of the table; empty for a default
};

/// One [quantizer] table. In each (node, role) the last rule that matches wins.
struct QuantizerRule {
  Component method;  ///< "none", among others: float, which masks the rules before it
  std::vector<std::string> layers;  ///< selectors, {"*"} by default
  std::vector<std::string>
      roles;  ///< of "weight", "input", "gradient"; empty: all that the method offers
  /// The method's own default where the file gives none: written out, so that a run stays what it
  /// was when a later version of the method has another.
  std::vector<std::string> keep_float;
  Span where;                         ///< of the table
  std::map<std::string, Span> spans;  ///< of the values that were given, by key
  /// Of the key's value, else of the table.
  const Span& span_of(const std::string& key) const;
};

class Experiment {
 public:
  std::string name;
  std::filesystem::path file;  ///< as given to load_experiment
  Component data, model, optimizer, schedule;
  /// Empty for a float run; rules that are all `none` are left out.
  std::vector<QuantizerRule> quantizers;
  Options augment, train, calibration;

  /// Every key with its value as TOML text, tables in a fixed order. Loading it gives an equal
  /// experiment, wherever the file lies: `threads` is the number found, paths are absolute.
  std::string resolved_toml() const;
  /// The same as an object of objects; quantizer is an array.
  nlohmann::json resolved_json() const;
  /// "train.epochs" -> "10", "quantizer.0.name" -> "\"bwn\"": the keys that can change a result.
  /// Two experiments with equal maps compute the same.
  std::map<std::string, std::string> result_keys() const;
  /// All keys in this form.
  std::map<std::string, std::string> all_keys() const;

  /// Of a dotted key, "model.depth" or "quantizer.1.bits".
  Origin origin(const std::string& key) const;
  /// For what is found out later: an architecture's complaint, a rule that matches nothing. Points
  /// at the key's value, else at its table, else at the file. Code "config.component" unless
  /// another is given.
  Diagnostic diagnostic_at(const std::string& key, const std::string& message,
                           std::vector<std::string> helps = {},
                           const std::string& code = "config.component") const;
  /// A component's complaint about one of its options: `table` is "model", "quantizer.1", "data".
  /// Text behind "help: " in the complaint becomes the diagnostic's help.
  Diagnostic diagnostic_for(const std::string& table, const OptionError& error) const;

 private:
  friend class Resolver;
  std::map<std::string, Origin> origins_;       ///< of given keys and of tables
  std::map<std::string, bool> part_of_result_;  ///< for each key of a table
};

}  // namespace qhost::config
