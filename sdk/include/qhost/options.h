/// qhost/options.h: how a component declares its options, and the validated values it gets back.
///
/// One declaration serves validation, `qhost describe`, the JSON schema and the generated pages:
///
///     const std::vector<Option> options = {
///         Option::integer("depth", 20, "number of weighted layers, 6n+2").at_least(8),
///         Option::string("shortcut", "A", "shape-changing shortcut").one_of({"A", "B"})};
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "qhost/export.h"

namespace qhost {

using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                                 std::vector<double>, std::vector<std::string>>;

/// The order equals that of OptionValue's alternatives.
enum class OptionType { boolean, integer, real, string, integer_list, real_list, string_list };

/// "boolean", "integer", "number", "string", "list of integers", ...: as shown to users.
QHOST_API const char* to_string(OptionType type);
/// The same with its article, for "expected ...": "an integer", "a boolean (true or false)".
QHOST_API const char* with_article(OptionType type);
/// The value as TOML text: `0.1`, `"sgd"`, `[1, 2]`; a double is printed to round-trip.
QHOST_API std::string to_string(const OptionValue& value);

/// One declared option. Build it with the named constructors and chain the constraints.
/// A constructor without default makes the option required.
class QHOST_API Option {
 public:
  static Option boolean(std::string name, bool default_value, std::string help);
  static Option integer(std::string name, std::int64_t default_value, std::string help);
  static Option real(std::string name, double default_value, std::string help);
  static Option string(std::string name, std::string default_value, std::string help);
  static Option integers(std::string name, std::vector<std::int64_t> default_value,
                         std::string help);
  static Option reals(std::string name, std::vector<double> default_value, std::string help);
  static Option strings(std::string name, std::vector<std::string> default_value, std::string help);
  static Option required(std::string name, OptionType type, std::string help);

  /// Inclusive bounds; for a list they hold for each element.
  Option at_least(double bound) &&;
  Option at_most(double bound) &&;
  /// Exclusive lower bound (`learning_rate > 0`).
  Option above(double bound) &&;
  Option below(double bound) &&;
  /// The closed list of strings. Where "true" or "false" is among them, that boolean stands for it.
  Option one_of(std::vector<std::string> choices) &&;
  /// Where the option's meaning is defined: a paper's section or equation.
  Option from_paper(std::string reference) &&;
  /// A change of this option cannot change a trained weight (progress, threads of a loader); it is
  /// left out when two configurations are compared for resuming.
  Option not_part_of_result() &&;

  const std::string& name() const { return name_; }
  OptionType type() const { return type_; }
  const std::optional<OptionValue>& default_value() const { return default_; }
  const std::string& help() const { return help_; }
  const std::string& paper() const { return paper_; }
  const std::vector<std::string>& choices() const { return choices_; }
  bool part_of_result() const { return part_of_result_; }
  /// "8 <= depth", "0 < value < 1", "one of \"A\", \"B\"", or "" without constraint.
  std::string range_text() const;
  /// Empty when `value` has this option's type and lies in its range, else the sentence that says
  /// why not with both values ("7 is below the minimum 8"). An integer is accepted for a real.
  std::string why_invalid(const OptionValue& value) const;

 private:
  Option(std::string name, OptionType type, std::optional<OptionValue> value, std::string help);
  std::string name_;
  OptionType type_;
  std::optional<OptionValue> default_;
  std::string help_;
  std::string paper_;
  std::vector<std::string> choices_;
  std::optional<double> minimum_, maximum_;
  bool minimum_exclusive_ = false, maximum_exclusive_ = false;
  bool part_of_result_ = true;
};

/// The validated values of one component: every declared option has a value of its type, so the
/// getters throw only when a component asks for a name or a type that it did not declare.
class QHOST_API Options {
 public:
  Options() = default;
  /// The defaults of `declared`, overwritten by `given`. Throws OptionError for an unknown name, an
  /// invalid value or a missing required option. (An experiment file goes through
  /// config/, which reports all of a file's errors with their places instead.)
  static Options from(const std::vector<Option>& declared,
                      const std::map<std::string, OptionValue>& given);

  void set(std::string name, OptionValue value) { values_[std::move(name)] = std::move(value); }
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  bool boolean(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  const std::string& string(const std::string& name) const;
  const std::vector<std::int64_t>& integers(const std::string& name) const;
  const std::vector<double>& reals(const std::string& name) const;
  const std::vector<std::string>& strings(const std::string& name) const;
  const std::map<std::string, OptionValue>& values() const { return values_; }

 private:
  std::map<std::string, OptionValue> values_;
};

}  // namespace qhost
