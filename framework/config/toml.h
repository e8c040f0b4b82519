/// config/toml.h: the one place that includes toml++. Include it in sources only: it is large.
#pragma once

// toml++ 3.3 asserts what malformed headers such as `[=]` violate, and promises it to the optimizer
// where assertions are off. Without either it reports them as errors.
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

/// Where the tree's places lie: `column_offset` and `line_offset` are added to what the parser
/// says.
struct PlaceMap {
  std::shared_ptr<const Source> source;
  int line_offset = 0, column_offset = 0;
  Span span(const toml::source_region& region) const;
};
/// The parser's tree as our own, keys in the order of their places. The nesting is bounded by the
/// guard, so recursion is safe.
Table convert(const toml::table& table, const PlaceMap& places);
Value convert(const toml::node& node, const PlaceMap& places);

}  // namespace qhost::config
