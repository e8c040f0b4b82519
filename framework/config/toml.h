/// config/toml.h: the one place that includes toml++. Include it in sources only: it is large.
#pragma once

// toml++ 3.3 has assertions that malformed headers such as `[=]` violate. With assertions off, it
// turns them into optimizer assumptions. With neither, it reports such headers as errors.
#ifdef NDEBUG
#define QHOST_RESTORE_NDEBUG
#undef NDEBUG
#endif
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#ifdef QHOST_RESTORE_NDEBUG
#define NDEBUG
#undef QHOST_RESTORE_NDEBUG
#endif

#include <memory>
#include <string>

#include "config/value.h"

namespace qhost::config {

/// Maps the parser's places to those of the tree: adds `column_offset` and `line_offset`.
struct PlaceMap {
  std::shared_ptr<const Source> source;
  int line_offset = 0, column_offset = 0;
  Span span(const toml::source_region& region) const;
};
/// Converts the parser's tree into ours, keys in the order of their places. The guard bounds the
/// nesting, so recursion is safe.
Table convert(const toml::table& table, const PlaceMap& places);
Value convert(const toml::node& node, const PlaceMap& places);

}  // namespace qhost::config
