/// config/experiment.h: a validated experiment, in which every key of every table has a value.
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

/// The source of a value.
struct Origin {
  enum class Kind { default_value, file, command_line };
  Kind kind = Kind::default_value;
  Span key, value;               ///< empty for a default
  std::vector<Span> overridden;  ///< the values it replaced, the latest first
  /// "experiments/wrn.toml:3:9", "command line:1:13" or "default"
  std::string to_string() const;
};

/// A component and its options: all that it declares, with defaults filled in.
struct Component {
  std::string name;
  Options options;
  Span where;  ///< the place of the name, else of the table; empty for a default
};

/// One [quantizer] table. For each (node, role) the last rule that matches decides.
struct QuantizerRule {
  Component method;                 ///< "none" keeps the layer in float and masks earlier rules
  std::vector<std::string> layers;  ///< selectors, {"*"} by default
  std::vector<std::string>
      roles;  ///< "weight", "input", "gradient"; empty: all roles that the method offers
  /// If the file gives no value, the method's default, written out: a run must not change when a
  /// later version of the method has another default.
  std::vector<std::string> keep_float;
  Span where;                         ///< place of the table
  std::map<std::string, Span> spans;  ///< places of the given values, by key
  /// The place of the key's value, else of the table.
  const Span& span_of(const std::string& key) const;
};

class Experiment {
 public:
  std::string name;
  std::filesystem::path file;  ///< as given to load_experiment
  Component data, model, optimizer, schedule;
  /// Empty for a float run. If all rules are `none`, they are left out.
  std::vector<QuantizerRule> quantizers;
  Options augment, train, calibration;

  /// Every key with its value as TOML text, tables in a fixed order. Loading it from any folder
  /// gives an equal experiment: `threads` is the detected number, and paths are absolute.
  std::string resolved_toml() const;
  /// The same as a JSON object of objects; quantizer is an array.
  nlohmann::json resolved_json() const;
  /// The keys that can change a result: "train.epochs" -> "10", "quantizer.0.name" -> "\"bwn\"".
  /// Two experiments with equal maps compute the same.
  std::map<std::string, std::string> result_keys() const;
  /// All keys in the form of result_keys().
  std::map<std::string, std::string> all_keys() const;

  /// The origin of a dotted key: "model.depth", "quantizer.1.bits".
  Origin origin(const std::string& key) const;
  /// A diagnostic for an error that is found after loading: an architecture's error, a rule that
  /// matches nothing. It points at the key's value, else at its table, else at the file.
  Diagnostic diagnostic_at(const std::string& key, const std::string& message,
                           std::vector<std::string> helps = {},
                           const std::string& code = "config.component") const;
  /// A diagnostic for a component's error about one of its options; `table` is "model",
  /// "quantizer.1" or "data". Text behind "help: " in the error becomes the diagnostic's help.
  Diagnostic diagnostic_for(const std::string& table, const OptionError& error) const;

 private:
  friend class Resolver;
  std::map<std::string, Origin> origins_;       ///< origins of given keys and of tables
  std::map<std::string, bool> part_of_result_;  ///< for each key of a table
};

}  // namespace qhost::config
