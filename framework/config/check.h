/// config/check.h: one table of a file against the options that it may hold.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/value.h"
#include "qhost/options.h"

namespace qhost::config {

/// Which tables know a key: "`batch_size` belongs to [train]".
class KeyDirectory {
 public:
  /// `title` is "[train]"; `component` names the one whose options these are.
  void add(const std::string& title, const std::vector<Option>& options,
           const std::string& component = "");
  void add_key(const std::string& title, const std::string& key);
  /// The titles of the tables that have `key`, without `except`.
  std::vector<std::string> homes(std::string_view key, const std::string& except) const;
  /// The components of the table `title` that have `key`.
  std::vector<std::string> components(std::string_view key, const std::string& title) const;

 private:
  struct Known {
    std::string key, title, component;
  };
  std::vector<Known> keys_;
};

struct TableCheck {
  std::string path;              ///< "train", "quantizer.1"; "" for the top level
  std::string title;             ///< "[train]"
  std::string component;         ///< "resnet", whose options these are
  const Table* given = nullptr;  ///< null: nothing is given
  Span where;                    ///< shown where a key is missing
  std::vector<const std::vector<Option>*> declared;
  std::vector<std::string> other_keys;      ///< allowed, and read by the caller
  std::set<std::string>* failed = nullptr;  ///< paths of wrong values are added
  bool complete = true;                     ///< false: a missing key is not reported
};
/// The given values and the defaults of the others. Every error is added: config.unknown-key,
/// config.wrong-type, config.out-of-range, config.unknown-choice, config.missing-key.
Options check_table(const TableCheck& check, const KeyDirectory& directory,
                    Diagnostics& diagnostics);

/// A key that stands where it cannot.
Diagnostic unknown_key(const Entry& entry, const std::string& title, const std::string& component,
                       const std::vector<std::string>& valid, const KeyDirectory& directory);
/// "`train.epochs`: expected an integer, found a string "ten"".
Diagnostic wrong_type(const std::string& path, const std::string& expected, const Value& value);
/// Labels for the values that `value` replaced.
void add_overridden(Diagnostic& diagnostic, const Value& value);

}  // namespace qhost::config
