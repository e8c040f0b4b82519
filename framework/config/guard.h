/// config/guard.h: checks that a text must pass before the TOML parser reads it. toml++ 3.3
/// recurses over the parts of dotted keys, also in its destructors, and overflows the stack on long
/// ones. Code without recursion therefore bounds files, lines and nesting first.
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
/// The limit on the parts of a value's path: header, dotted key, inline tables and lists together.
inline constexpr int max_nesting = 32;

/// Reads a regular file of at most max_file_bytes. A larger file is refused by its size, without
/// reading it. A byte order mark is removed. `wanted_by` is the place that names the file, empty
/// for the command line. Errors: config.file, config.file-too-large.
std::optional<std::string> read_file(const std::filesystem::path& path, const Span& wanted_by,
                                     Diagnostics& diagnostics);

/// A line that starts outside of any value: a broken statement can be cut out there.
struct LineKind {
  bool starts_statement = false;
  bool header = false;  ///< [table] or [[table]]
};
/// A character that TOML allows only in strings and comments.
struct StrayCharacter {
  int line = 0, column = 0;
  std::string text;
};
struct ScanResult {
  bool ok = false;
  bool closed = true;  ///< all brackets and strings are closed at the end
  std::vector<LineKind> lines;
  /// The first stray character of each line. toml++ 3.3 runs into undefined behavior at some of
  /// them (U+00E9 as the start of a key), so it must not see such a statement.
  std::vector<StrayCharacter> stray;
};
/// Checks UTF-8, control bytes, line lengths and nesting of `text`; `source` holds its lines and
/// `line_offset` is added to line numbers. Errors: config.not-text, config.line-too-long,
/// config.nesting.
ScanResult scan(std::string_view text, const std::shared_ptr<const Source>& source,
                Diagnostics& diagnostics, int line_offset = 0);

}  // namespace qhost::config
