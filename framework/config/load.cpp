#include "config/load.h"

#include <algorithm>

#include "config/diagnostic_codes.h"
#include "config/extends.h"
#include "config/merge.h"
#include "config/resolver.h"
#include "config/sweep.h"

namespace qhost::config {
namespace {

/// Splits off the overrides of [sweep]: they change the file, all others change every point.
Table take_sweep(Table& overrides) {
  Table part;
  if (const Entry* sweep = overrides.find("sweep")) part.entries.push_back(*sweep);
  overrides.erase("sweep");
  return part;
}

ErrorKind kind_of(const std::vector<Diagnostic>& diagnostics) {
  const bool refused = std::all_of(diagnostics.begin(), diagnostics.end(), [](const auto& one) {
    return one.severity != Severity::error || one.code == code::refused_plugin;
  });
  return refused ? ErrorKind::plugin : ErrorKind::configuration;
}

}  // namespace

Catalog::~Catalog() = default;

LoadResult load_experiment(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Catalog& catalog) {
  LoadResult result;
  Diagnostics diagnostics;
  Document arguments = parse_overrides(overrides, diagnostics);
  Document document = load_document(file, diagnostics);
  const bool complete = document.complete && arguments.complete;
  Table& root = document.root;
  const bool read = document.complete || !root.entries.empty();

  merge(root, take_sweep(arguments.root), MergeLevel::experiment, diagnostics);
  std::vector<SweepPart> points;
  if (const Entry* sweep = root.find("sweep")) {
    result.sweep = true;
    points = read_sweep(*sweep, diagnostics);
    root.erase("sweep");
  }
  // If no point could be read, the file itself is still checked.
  if (points.empty()) points.emplace_back();
  for (const SweepPart& point : points) {
    if (!read) break;
    Table table = root;
    merge(table, point.changes, MergeLevel::experiment, diagnostics);
    merge(table, arguments.root, MergeLevel::experiment, diagnostics);
    Resolver resolver(table, complete, catalog, diagnostics);
    result.points.push_back({point.label, point.has_seed, point.group, resolver.resolve(file)});
  }
  result.diagnostics = diagnostics.sorted();
  result.ok = !diagnostics.has_errors();
  if (!result.ok) {
    result.points.clear();
    result.error_kind = kind_of(result.diagnostics);
  }
  return result;
}

std::vector<SweepPoint> load_experiment_or_throw(const std::filesystem::path& file,
                                                 const std::vector<std::string>& overrides,
                                                 Catalog& catalog) {
  LoadResult result = load_experiment(file, overrides, catalog);
  if (!result.ok) throw to_error(result.diagnostics, result.error_kind);
  return std::move(result.points);
}

}  // namespace qhost::config
