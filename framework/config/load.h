/// config/load.h: from an experiment file and overrides to validated experiments.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/experiment.h"

namespace qhost::config {

/// What components exist and what they declare. `kind` is "data", "model" or "quantizer"; optimizer
/// and schedule are the host's own and are not asked for.
class Catalog {
 public:
  virtual ~Catalog();
  /// The declared options, or null where no such component was found. Throws Error (plugin) when
  /// the only file that provides it was refused. The pointer stays valid as long as the catalog.
  virtual const std::vector<Option>* find(const std::string& kind, const std::string& name) = 0;
  virtual std::vector<std::string> names(const std::string& kind) = 0;
  /// The `keep_float` of a rule of this quantizer that gives none. For a name that find() knows.
  virtual std::vector<std::string> default_keep_float(const std::string& quantizer) = 0;
  /// Where a component that find() did not know was looked for, and what was refused there: lines
  /// for a person, or "".
  virtual std::string explain_missing(const std::string& kind, const std::string& name) = 0;
};

/// A file without [sweep] is one point without label.
struct SweepPoint {
  std::string label;
  bool has_seed = false;  ///< one of `sweep.seeds`
  std::string group;      ///< the label that points which differ by that seed alone share
  Experiment experiment;
};

struct LoadResult {
  std::vector<SweepPoint> points;  ///< empty unless ok
  /// Of all files and overrides, sorted; warnings too.
  std::vector<Diagnostic> diagnostics;
  bool ok = false;
  bool sweep = false;  ///< the file has a [sweep]
  /// plugin when refused plugins are all that is wrong, else configuration: the exit code.
  ErrorKind error_kind = ErrorKind::configuration;
};

/// Reads `file` and what it extends, applies the sweep's points and then `overrides` ("train.epochs
/// =30", parsed as TOML values; a bare word is a string) and validates all of it against the
/// declarations. Never throws for what a user wrote.
LoadResult load_experiment(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Catalog& catalog);
/// The points; throws Error (error_kind) with all diagnostics rendered.
std::vector<SweepPoint> load_experiment_or_throw(const std::filesystem::path& file,
                                                 const std::vector<std::string>& overrides,
                                                 Catalog& catalog);

}  // namespace qhost::config
