/// config/resolver.h: turns a merged tree into a validated experiment.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/check.h"
#include "config/experiment.h"
#include "config/load.h"
#include "config/value.h"

namespace qhost::config {

class Resolver {
 public:
  /// `complete`: see Document.
  Resolver(const Table& root, bool complete, Catalog& catalog, Diagnostics& diagnostics);
  /// Adds all errors of the tree. The result is valid only without errors.
  Experiment resolve(const std::filesystem::path& file);

 private:
  void check_top_level();
  void build_directory();
  void resolve_name();
  void resolve_rules();
  QuantizerRule resolve_rule(const Entry& entry, const Value& value, std::size_t index);
  Options resolve_plain(const std::string& table);
  Component resolve_component(const std::string& kind);
  struct Place {
    std::string kind;   ///< "quantizer"
    std::string path;   ///< "quantizer.0", the prefix of its origins
    std::string shown;  ///< the path as the user wrote it
  };
  /// The options of a table whose component is `name`; `beside`: the keys in it that the host
  /// reads.
  Options component_options(const Place& place, const std::string& name, const Table* given,
                            const Span& where, const std::vector<Option>* beside);
  const std::vector<Option>* find(const std::string& kind, const std::string& name);
  std::vector<std::string> names(const std::string& kind);
  void unknown_component(const std::string& kind, const std::string& name, const Value* value);
  /// [table] as a table; null if it is absent, or with an error if it is something else.
  const Table* table_of(const Entry* entry);
  void record(const std::string& path, const Table* given, const std::vector<Option>& declared);
  void resolve_paths();
  void resolve_path(Options& options, const std::string& table, const std::string& key);
  void check_conflicts();
  void conflict(const std::string& key, const std::string& other, const std::string& message,
                const std::string& help);

  const Table& root_;
  bool complete_;
  Catalog& catalog_;
  Diagnostics& diagnostics_;
  KeyDirectory directory_;
  std::set<std::string> failed_;  ///< keys with a wrong value, about which no conflict is reported
  Experiment experiment_;
};

}  // namespace qhost::config
