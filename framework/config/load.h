/// config/load.h: from an experiment file and overrides to validated experiments.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/experiment.h"

namespace qhost::config {

/// The existing components and their declared options. `kind` is "data", "model" or "quantizer";
/// the optimizers and schedules belong to the host and are not looked up here.
class Catalog {
 public:
  virtual ~Catalog();
  /// The declared options, or null if there is no such component. Throws Error (plugin) if the only
  /// file that provides it was refused. The pointer is valid as long as the catalog.
  virtual const std::vector<Option>* find(const std::string& kind, const std::string& name) = 0;
  virtual std::vector<std::string> names(const std::string& kind) = 0;
  /// The default `keep_float` of this quantizer's rules. The name must be one that find() knows.
  virtual std::vector<std::string> default_keep_float(const std::string& quantizer) = 0;
  /// For a component that find() does not know: the places that were searched and the files that
  /// were refused, as lines of text, or "".
  virtual std::string explain_missing(const std::string& kind, const std::string& name) = 0;
};

/// One run of a sweep. A file without [sweep] is one point without a label.
struct SweepPoint {
  std::string label;
  bool has_seed = false;  ///< its seed comes from `sweep.seeds`
  std::string group;      ///< the common label of points that differ only by that seed
  Experiment experiment;
};

struct LoadResult {
  std::vector<SweepPoint> points;  ///< empty unless ok
  /// The diagnostics of all files and overrides, warnings included, sorted.
  std::vector<Diagnostic> diagnostics;
  bool ok = false;
  bool sweep = false;  ///< the file has a [sweep]
  /// Decides the exit code: plugin if refused plugins are the only errors, else configuration.
  ErrorKind error_kind = ErrorKind::configuration;
};

/// Reads `file` and what it extends, applies the sweep's points and then `overrides`
/// ("train.epochs=30", parsed as TOML values; a bare word is a string), and validates the result
/// against the declarations. Never throws for errors of the user.
LoadResult load_experiment(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Catalog& catalog);
/// Returns the points; throws Error (error_kind) with all diagnostics rendered.
std::vector<SweepPoint> load_experiment_or_throw(const std::filesystem::path& file,
                                                 const std::vector<std::string>& overrides,
                                                 Catalog& catalog);

}  // namespace qhost::config
