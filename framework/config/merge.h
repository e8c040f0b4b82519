/// config/merge.h: how one file, a sweep's point or the command line changes what stands below it.
#pragma once

#include "config/value.h"

namespace qhost::config {

/// What the keys of the merged tables mean.
enum class MergeLevel {
  experiment,  ///< model, train, ...: component tables are replaced when their name changes
  plain,
};

/// Lays `over` over `base`:
/// - tables merge key by key; any other value, lists too, replaces what it meets and remembers its
///   place;
/// - data, model, optimizer, schedule and quantizer are replaced as a whole when `over` names
/// another
///   component (a table without name means its default);
/// - [quantizer] and [[quantizer]] replace each other;
/// - a table with keys that are all numbers ("1") changes elements of a list; [quantizer] counts as
///   a list of one. A rule that is renamed so keeps its layers and roles.
/// Errors: config.bad-index.
void merge(Table& base, const Table& over, MergeLevel level, Diagnostics& diagnostics);

/// Whether all keys are numbers, and there is one.
bool is_index_table(const Value& value);

}  // namespace qhost::config
