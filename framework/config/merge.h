/// config/merge.h: merges a file, a point of a sweep or the command line over a base.
#pragma once

#include "config/value.h"

namespace qhost::config {

/// The meaning of the keys of the merged tables.
enum class MergeLevel {
  experiment,  ///< model, train, ...: component tables are replaced when their name changes
  plain,
};

/// Merges `over` over `base`:
/// - Tables merge key by key. Any other value, lists included, replaces the old one and remembers
///   its place.
/// - data, model, optimizer, schedule and quantizer are replaced as a whole if `over` names another
///   component (a table without a name means its default).
/// - [quantizer] and [[quantizer]] replace each other.
/// - A table whose keys are all numbers ("1") changes elements of a list; [quantizer] counts as a
///   list of one. A rule that gets another name this way keeps its layers and roles.
/// Errors: config.bad-index.
void merge(Table& base, const Table& over, MergeLevel level, Diagnostics& diagnostics);

/// True if the table has keys and all are numbers.
bool is_index_table(const Value& value);

}  // namespace qhost::config
