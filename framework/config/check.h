/// config/check.h: checks one table of a file against the options that it may hold.
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
  /// `title` is "[train]"; `component` is the component that declares the options.
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
  std::string component;         ///< "resnet", which declares the options
  const Table* given = nullptr;  ///< null: the file has no such table
  Span where;                    ///< the place that is shown for a missing key
  std::vector<const std::vector<Option>*> declared;
  std::vector<std::string> other_keys;      ///< allowed, and read by the caller
  std::set<std::string>* failed = nullptr;  ///< paths of wrong values are added
  bool complete = true;                     ///< false: a missing key is not reported
};
/// Returns the given values and the defaults of all other options. Adds every error:
/// config.unknown-key, config.wrong-type, config.out-of-range, config.unknown-choice,
/// config.missing-key.
Options check_table(const TableCheck& check, const KeyDirectory& directory,
                    Diagnostics& diagnostics);

/// The error for a key that the table does not have.
Diagnostic unknown_key(const Entry& entry, const std::string& title, const std::string& component,
                       const std::vector<std::string>& valid, const KeyDirectory& directory);
/// The error "`train.epochs`: expected an integer, found a string "ten"".
Diagnostic wrong_type(const std::string& path, const std::string& expected, const Value& value);
/// Adds labels for the values that `value` replaced.
void add_overridden(Diagnostic& diagnostic, const Value& value);

}  // namespace qhost::config
