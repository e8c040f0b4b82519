/// config/diagnostic.h: what is wrong with an experiment, where, and what to do. Rendering is
/// separate.
///
///     wrn.toml:3:1: error: unknown key `depht` in [model] [config.unknown-key]
///       3 | depht = 16
///         | ^^^^^
///     help: did you mean `depth`?
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/error.h"

namespace qhost::config {

/// The lines of a text that spans point into, kept for display. Line breaks are LF or CRLF.
class Source {
 public:
  Source(std::string name, std::string_view text);
  /// Each element is one line, whatever it contains: the arguments of a command line.
  Source(std::string name, std::vector<std::string> lines);
  const std::string& name() const { return name_; }
  /// Line `number`, counted from 1; "" for a number outside of the text.
  std::string_view line(int number) const;
  int line_count() const { return static_cast<int>(lines_.size()); }

 private:
  std::string name_;
  std::vector<std::string> lines_;
};

/// A place in one line. Columns and lengths count code points, from 1. line = 0: the whole file.
struct Span {
  std::string file;  ///< as the user would write it, or "command line"
  int line = 0, column = 0, length = 0;
  std::shared_ptr<const Source> source;  ///< null: no line can be shown

  bool operator==(const Span& other) const {
    return file == other.file && line == other.line && column == other.column;
  }
  /// "wrn.toml:3:1", "command line:2:7" or "wrn.toml"; "" without a place.
  std::string to_string() const;
};

enum class Severity { error, warning, note };
const char* to_string(Severity severity);

struct Label {
  Span span;
  std::string text;  ///< short: it is printed beside its caret
};

struct Diagnostic {
  std::string code;  ///< "config.unknown-key": stable, explained in docs/errors.md
  Severity severity = Severity::error;
  std::string message;  ///< what is wrong, with both values; no full stop
  Label primary;
  std::vector<Label> secondary;  ///< the first definition, the value that was overridden
  std::vector<std::string> notes;
  std::vector<std::string> helps;  ///< what to do
};

struct RenderOptions {
  int width = 100;  ///< a longer source line is cut around the span to this many columns
  bool color = false;
};
/// One line: "wrn.toml:3:1: error: unknown key `depht` in [model] [config.unknown-key]".
std::string render_concise(const Diagnostic& diagnostic);
/// The same with the source line, a caret, labels, notes and helps; ends with a line break.
std::string render(const Diagnostic& diagnostic, const RenderOptions& options = {});
/// {code, severity, message, file, line, column, length, label, secondary, notes, helps}
nlohmann::json to_json(const Diagnostic& diagnostic);

/// Collects the diagnostics of a reader. Nothing is printed or thrown before all are known.
class Diagnostics {
 public:
  /// Adds a diagnostic; one with equal code, message and place is kept once (a base file that is
  /// read twice).
  void add(Diagnostic diagnostic);
  bool has_errors() const;
  /// The diagnostics sorted by file, line and column; those of one place keep their order of
  /// addition.
  std::vector<Diagnostic> sorted() const;

 private:
  std::vector<Diagnostic> list_;
};

/// Renders the first `limit` diagnostics in the given order, separated by empty lines, then "and 7
/// more".
std::string render(const std::vector<Diagnostic>& diagnostics, const RenderOptions& options = {},
                   std::size_t limit = 20);
/// An error with its diagnostics, for a reader that is a program.
class DiagnosedError : public Error {
 public:
  /// what() is the rendered diagnostics.
  DiagnosedError(ErrorKind kind, std::vector<Diagnostic> diagnostics);
  /// Any other error; what() is its text.
  explicit DiagnosedError(const Error& error) : Error(error) {}
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// The exception that ends a command.
DiagnosedError to_error(const std::vector<Diagnostic>& diagnostics,
                        ErrorKind kind = ErrorKind::configuration);

/// {exit_code, message, helps, diagnostics: [...]}: the message is all of what a terminal shows
/// without the helps, which stand in a diagnostic where there is one.
nlohmann::json to_json(const Error& error);

/// A name in backticks, with control characters escaped: `depth`.
std::string quote(std::string_view name);
/// "`a`, `b` and `c`"
std::string quote_list(const std::vector<std::string>& names);

}  // namespace qhost::config
