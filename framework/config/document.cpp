#include "config/document.h"

#include <algorithm>

#include "common/utf8.h"
#include "config/diagnostic_codes.h"
#include "config/guard.h"
#include "config/renamed.h"
#include "config/toml.h"

namespace qhost::config {
namespace {

constexpr std::size_t max_syntax_errors = 50;

/// The lines of a text. A statement can be blanked without moving the others.
class Lines {
 public:
  explicit Lines(std::string_view text) {
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      lines_.emplace_back(text.substr(start, end - start));
      start = end + 1;
    }
  }
  /// Lines from..to, counted from 1.
  void blank(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i <= to && i <= lines_.size(); ++i) lines_[i - 1].clear();
  }
  const std::string& line(std::size_t number) const { return lines_.at(number - 1); }
  std::size_t count() const { return lines_.size(); }
  std::string text(std::size_t to) const {
    std::string text;
    for (std::size_t i = 0; i < to && i < lines_.size(); ++i) text += lines_[i] + '\n';
    return text;
  }
  std::string text() const { return text(lines_.size()); }

 private:
  std::vector<std::string> lines_;
};

/// The statement that contains line `number`.
struct Statement {
  std::size_t first = 1, last = 1;
  bool header = false;
  bool ends = true;  ///< false: a bracket or string stays open to the end of the file
};

Statement statement_at(const ScanResult& scan, std::size_t number) {
  Statement statement;
  const std::size_t count = scan.lines.size();
  number = std::clamp<std::size_t>(number, 1, count);
  statement.first = number;
  while (statement.first > 1 && !scan.lines[statement.first - 1].starts_statement) {
    --statement.first;
  }
  statement.last = statement.first;
  while (statement.last < count && !scan.lines[statement.last].starts_statement) ++statement.last;
  statement.header = scan.lines[statement.first - 1].header;
  statement.ends = scan.closed || statement.last < count;
  return statement;
}

/// The text between the brackets of a header, or before the equals sign of a key.
std::string_view key_text(std::string_view line, bool header, std::size_t& offset) {
  std::size_t start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  if (header) start = std::min(line.find_first_not_of('[', start), line.size());
  char quoted = 0;
  std::size_t end = start;
  for (; end < line.size(); ++end) {
    const char c = line[end];
    if (quoted != 0) {
      if (c == '\\' && quoted == '"') ++end;
      if (c == quoted) quoted = 0;
    } else if (c == '"' || c == '\'') {
      quoted = c;
    } else if (c == (header ? ']' : '=')) {
      break;
    }
  }
  offset = start;
  return line.substr(start, std::min(end, line.size()) - start);
}

/// The entry at a dotted path; in a list of tables, the entry of the last element.
const Entry* find_path(const Table& root, const std::vector<KeyPart>& path) {
  const Table* table = &root;
  const Entry* entry = nullptr;
  for (const KeyPart& part : path) {
    if (table == nullptr) return nullptr;
    entry = table->find(part.name);
    if (entry == nullptr) return nullptr;
    const Array* array = entry->value.array();
    table = array != nullptr && !array->empty() ? array->back().table() : entry->value.table();
  }
  return entry;
}

class Parser {
 public:
  Parser(const std::string& name, std::string_view text, Diagnostics& diagnostics)
      : source_(std::make_shared<Source>(name, text)), lines_(text), diagnostics_(diagnostics) {}

  Document parse(std::string_view text) {
    Document document;
    scan_ = scan(text, source_, diagnostics_);
    if (!scan_.ok) return document;
    document.complete = true;
    if (!cut_out_stray()) {
      document.complete = false;
      if (!lines_usable_) return document;
    }
    for (std::size_t errors = 0; errors < max_syntax_errors; ++errors) {
      const std::string current = lines_.text();
      const auto result = toml::parse(std::string_view(current), std::string_view(source_->name()));
      if (result) {
        document.root = convert(result.table(), {source_});
        return document;
      }
      document.complete = false;
      const std::size_t line = std::max<std::size_t>(1, result.error().source().begin.line);
      const Statement statement = statement_at(scan_, line);
      report(result.error(), statement);
      if (!statement.ends || lines_.text() == cut_out(statement)) return document;
    }
    return document;
  }

 private:
  /// Blanks the statement (a header together with its keys) and returns the text as it was before.
  std::string cut_out(const Statement& statement) {
    std::string before = lines_.text();
    std::size_t last = statement.last;
    if (statement.header) {
      while (last < scan_.lines.size() && !scan_.lines[last].header) ++last;
    }
    lines_.blank(statement.first, last);
    return before;
  }

  /// Cuts out the statements that the parser must not see. Returns false if there was one.
  bool cut_out_stray() {
    const Statement* before = nullptr;
    Statement statement;
    for (const StrayCharacter& stray : scan_.stray) {
      const auto line = static_cast<std::size_t>(stray.line);
      if (before != nullptr && line <= before->last) continue;  // one error a statement
      statement = statement_at(scan_, line);
      before = &statement;
      Diagnostic diagnostic;
      diagnostic.code = code::syntax;
      diagnostic.message = "not valid TOML: " + quote(stray.text) + " outside of quotes";
      diagnostic.primary.span = {source_->name(), stray.line, stray.column, 1, source_};
      diagnostic.helps.push_back("put the key or string into quotes");
      diagnostics_.add(std::move(diagnostic));
      cut_out(statement);
      if (!statement.ends) lines_usable_ = false;
    }
    return before == nullptr;
  }

  void report(const toml::parse_error& error, const Statement& statement) {
    std::string text(error.description());
    if (text.find("cannot redefine") != std::string::npos && report_duplicate(statement)) return;
    Diagnostic diagnostic;
    diagnostic.code = code::syntax;
    diagnostic.primary.span = PlaceMap{source_}.span(error.source());
    constexpr std::string_view prefix = "Error while parsing ";
    if (text.starts_with(prefix)) {
      const std::size_t colon = text.find(": ");
      const std::string what = text.substr(prefix.size(), colon - prefix.size());
      text = text.substr(colon + 2) + " (while reading a " + what + ")";
      if (std::string_view("aeiou").find(what[0]) != std::string_view::npos) {
        text = text.substr(0, text.rfind("a " + what)) + "an " + what + ")";
      }
    }
    diagnostic.message = "not valid TOML: " + text;
    add_help(diagnostic, statement);
    diagnostics_.add(std::move(diagnostic));
  }

  /// Adds a help for the most frequent errors: a word without quotes, a bracket that stays open.
  void add_help(Diagnostic& diagnostic, const Statement& statement) const {
    Span& span = diagnostic.primary.span;
    const std::string_view line = source_->line(span.line);
    const std::size_t start =
        code_point_offset(line, static_cast<std::size_t>(std::max(0, span.column - 1)));
    const std::string_view rest = line.substr(start);
    const std::size_t equals = line.rfind('=', start);
    if (!statement.ends) {
      diagnostic.helps.push_back("what opens in line " + std::to_string(statement.first) +
                                 " is never closed");
    } else if (!statement.header && equals != std::string_view::npos) {
      std::size_t first = line.find_first_not_of(" \t", equals + 1);
      const auto word_char = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
      };
      if (first != std::string_view::npos &&
          std::isalpha(static_cast<unsigned char>(line[first]))) {
        std::size_t end = first;
        while (end < line.size() && word_char(static_cast<unsigned char>(line[end]))) ++end;
        const std::string word(line.substr(first, end - first));
        std::string lower = word;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (start > end) {
          // The word is valid; the error is in the text behind it.
        } else if (lower == "true" || lower == "false") {
          diagnostic.helps.push_back("booleans are written in lower case: " + lower);
        } else {
          diagnostic.helps.push_back("a string is written in quotes: \"" + word + '"');
        }
        if (start <= end) {
          span.column = static_cast<int>(count_code_points(line.substr(0, first))) + 1;
          span.length = static_cast<int>(word.size());
        }
      } else if (first == std::string_view::npos || line[first] == '#') {
        diagnostic.helps.push_back("write a value behind the equals sign");
      }
    } else if (statement.header) {
      diagnostic.helps.push_back("a table is written [name], an element of a list [[name]]");
    }
    if (!diagnostic.helps.empty()) return;
    if (rest.empty() && line.find_first_of("\"'") != std::string_view::npos) {
      diagnostic.helps.push_back("close the string on its line; \"\"\" opens one of several lines");
    } else if (diagnostic.message.find("a comment or whitespace") != std::string::npos) {
      diagnostic.helps.push_back("a line holds one value; a list is written [1, 2]");
    } else {
      diagnostic.helps.push_back("a line is `key = value`, `[table]`, a comment or empty");
    }
  }

  /// Reports the key with both places. Returns false if they cannot be found (in an inline table).
  bool report_duplicate(const Statement& statement) {
    const std::string& line = lines_.line(statement.first);
    std::size_t offset = 0;
    const auto key = parse_key(key_text(line, statement.header, offset));
    if (!key) return false;
    std::vector<KeyPart> path;
    std::string table;
    if (!statement.header) {
      for (std::size_t number = statement.first - 1; number >= 1; --number) {
        if (!scan_.lines[number - 1].header) continue;
        std::size_t unused = 0;
        table = key_text(lines_.line(number), true, unused);
        const auto header = parse_key(table);
        if (header) path = *header;
        break;
      }
    }
    path.insert(path.end(), key->begin(), key->end());
    const std::string earlier = lines_.text(statement.first - 1);
    const auto result = toml::parse(std::string_view(earlier), std::string_view(source_->name()));
    if (!result) return false;
    const Table root = convert(result.table(), {source_});
    const Entry* first = find_path(root, path);
    // In a.b = 1 with an existing value `a`, the conflict is with the existing part.
    std::vector<KeyPart> shorter = path;
    while (first == nullptr && shorter.size() > 1) {
      shorter.pop_back();
      const Entry* entry = find_path(root, shorter);
      if (entry != nullptr && entry->value.table() == nullptr) first = entry;
    }
    if (first == nullptr) return false;
    Diagnostic diagnostic;
    diagnostic.code = code::duplicate_key;
    const KeyPart& head = key->front();
    const KeyPart& tail = key->back();
    const int before =
        static_cast<int>(count_code_points(std::string_view(line).substr(0, offset)));
    diagnostic.primary.span = {source_->name(), static_cast<int>(statement.first),
                               before + head.column, tail.column + tail.length - head.column,
                               source_};
    if (statement.header) {
      diagnostic.message = "table " + quote(first->key) + " is defined twice";
    } else {
      diagnostic.message = quote(tail.name) + " is defined twice";
      if (!table.empty()) diagnostic.message += " in [" + table + ']';
    }
    diagnostic.secondary.push_back({first->key_span, "first defined here"});
    diagnostic.helps.push_back(statement.header ? "put its keys under the first header"
                                                : "keep one of the two");
    diagnostics_.add(std::move(diagnostic));
    return true;
  }

  std::shared_ptr<const Source> source_;
  Lines lines_;
  ScanResult scan_;
  bool lines_usable_ = true;
  Diagnostics& diagnostics_;
};

}  // namespace

Document parse_document(const std::string& name, std::string_view text, Diagnostics& diagnostics) {
  Document document = Parser(name, text, diagnostics).parse(text);
  if (text.starts_with(resolved_heading)) use_present_names(document.root);
  return document;
}

std::optional<std::vector<KeyPart>> parse_key(std::string_view text) {
  if (text.size() > max_line_bytes || text.find('\n') != std::string_view::npos) return {};
  const std::string document = std::string(text) + "=0";
  Diagnostics unused;
  const auto source = std::make_shared<Source>("", document);
  const ScanResult scanned = scan(document, source, unused);
  if (!scanned.ok || !scanned.stray.empty()) return {};
  const auto result = toml::parse(std::string_view(document));
  if (!result) return {};
  std::vector<KeyPart> parts;
  const Table root = convert(result.table(), {source});
  const Table* table = &root;
  while (table != nullptr) {
    if (table->entries.size() != 1) return {};
    const Entry& entry = table->entries.front();
    parts.push_back({entry.key, entry.key_span.column, entry.key_span.length});
    table = entry.value.table();
    // The value must be the one appended here: an equals sign in the text would give another.
    const auto* value = std::get_if<std::int64_t>(&entry.value.data);
    const auto own_column = static_cast<int>(count_code_points(document));
    if (table == nullptr && (value == nullptr || entry.value.span.column != own_column)) return {};
  }
  return parts;
}

}  // namespace qhost::config
