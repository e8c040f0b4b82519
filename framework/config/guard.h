/// config/guard.h: what a text must satisfy before a TOML parser sees it. toml++ 3.3 recurses over
/// the parts of dotted keys, in its destructors too, and overflows the stack on long ones; so
/// files, lines and nesting are bounded first, by code that does not recurse.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace qhost::config {

inline constexpr std::size_t max_file_bytes = 128 * 1024;
inline constexpr std::size_t max_line_bytes = 4 * 1024;
/// Parts of a value's path: header, dotted key, inline tables and lists together.
inline constexpr int max_nesting = 32;

/// Reads a regular file of at most max_file_bytes; a larger one is refused by its size, unread. A
/// byte order mark is dropped. `wanted_by`: the place that names the file, empty for the command
/// line. Errors: config.file, config.file-too-large.
std::optional<std::string> read_file(const std::filesystem::path& path, const Span& wanted_by,
                                     Diagnostics& diagnostics);

/// Lines that start outside of any value: where a broken statement can be cut out.
struct LineKind {
  bool starts_statement = false;
  bool header = false;  ///< [table] or [[table]]
};
/// A character that TOML allows in strings and comments only.
struct StrayCharacter {
  int line = 0, column = 0;
  std::string text;
};
struct ScanResult {
  bool ok = false;
  bool closed = true;  ///< all brackets and strings are closed at the end
  std::vector<LineKind> lines;
  /// The first of each line. toml++ 3.3 runs into undefined behavior at some of them (U+00E9 as
  /// the start of a key): statements with one must not reach it.
  std::vector<StrayCharacter> stray;
};
/// Checks UTF-8, control bytes, line lengths and nesting of `text`, whose lines `source` holds;
/// `line_offset` is added to line numbers. Errors: config.not-text, config.line-too-long,
/// config.nesting.
ScanResult scan(std::string_view text, const std::shared_ptr<const Source>& source,
                Diagnostics& diagnostics, int line_offset = 0);

}  // namespace qhost::config
