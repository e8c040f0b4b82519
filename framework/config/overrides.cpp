// Parses arguments "key=value" into the tree that is merged over an experiment.
#include <algorithm>

#include "common/utf8.h"
#include "config/diagnostic_codes.h"
#include "config/document.h"
#include "config/guard.h"
#include "config/toml.h"

namespace qhost::config {
namespace {

class OverrideParser {
 public:
  OverrideParser(const std::vector<std::string>& arguments, Diagnostics& diagnostics)
      : arguments_(arguments),
        source_(std::make_shared<Source>("command line", arguments)),
        diagnostics_(diagnostics) {}

  Document parse() {
    Document document;
    document.complete = true;
    for (std::size_t i = 0; i < arguments_.size(); ++i) {
      line_ = static_cast<int>(i) + 1;
      if (!parse_argument(arguments_[i], document.root)) document.complete = false;
    }
    return document;
  }

 private:
  Span span(int column, int length) const {
    return {source_->name(), line_, column, std::max(1, length), source_};
  }

  bool fail(int column, int length, std::string message, std::string help) {
    Diagnostic diagnostic;
    diagnostic.code = code::bad_override;
    diagnostic.message = std::move(message);
    diagnostic.primary.span = span(column, length);
    diagnostic.helps.push_back(std::move(help));
    diagnostics_.add(std::move(diagnostic));
    return false;
  }

  /// The equals sign that ends the key; quoted parts may contain one.
  static std::size_t find_equals(std::string_view text) {
    char quoted = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (quoted != 0) {
        if (text[i] == quoted) quoted = 0;
      } else if (text[i] == '"' || text[i] == '\'') {
        quoted = text[i];
      } else if (text[i] == '=') {
        return i;
      }
    }
    return std::string_view::npos;
  }

  /// What to write in place of a word without an equals sign, and the words behind it.
  std::string intended_override(const std::string& argument) const {
    const auto behind = static_cast<std::size_t>(line_);
    const std::string next = behind < arguments_.size() ? arguments_[behind] : "";
    if (next == "=") return "write KEY=VALUE without spaces around the equals sign";
    const std::size_t colon = argument.find(':');
    if (colon != std::string::npos && parse_key(std::string_view(argument).substr(0, colon))) {
      const std::string value = argument.substr(colon + 1);
      return "write " + argument.substr(0, colon) + "=" + (value.empty() ? next : value);
    }
    return "write KEY=VALUE, as in train.epochs=30";
  }

  bool parse_argument(const std::string& argument, Table& root) {
    const int all = static_cast<int>(count_code_points(argument));
    if (argument.find('\n') != std::string::npos) {
      return fail(1, all, "an override holds one line", "move a long value to the file");
    }
    const std::size_t equals = find_equals(argument);
    if (equals == std::string::npos) {
      return fail(1, all, quote(argument) + " is no override: it has no equals sign",
                  intended_override(argument));
    }
    const std::string_view key_text = std::string_view(argument).substr(0, equals);
    const auto key = parse_key(key_text);
    if (!key) {
      const int length = static_cast<int>(count_code_points(key_text));
      return fail(1, length, quote(key_text) + " is no key",
                  "a key is TABLE.NAME, as in train.epochs=30; an element of a list is "
                  "quantizer.1.bits=4");
    }
    Value value;
    if (!parse_value(argument, equals + 1, value)) return false;
    return insert(root, *key, std::move(value));
  }

  bool parse_value(const std::string& argument, std::size_t start, Value& value) {
    const std::string_view text = std::string_view(argument).substr(start);
    const int column = static_cast<int>(count_code_points(argument.substr(0, start))) + 1;
    const int length = static_cast<int>(count_code_points(text));
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
      return fail(column, 1, "no value behind the equals sign",
                  "the empty string is written KEY='\"\"' in a shell");
    }
    const std::string document = "v=" + std::string(text);
    Diagnostics found;
    const ScanResult scanned = scan(document, source_, found, line_ - 1);
    if (!scanned.ok) {
      for (Diagnostic diagnostic : found.sorted()) {
        diagnostic.primary.span = span(column, length);
        diagnostics_.add(std::move(diagnostic));
      }
      return false;
    }
    const bool structured = std::string_view("\"'[{").find(text[first]) != std::string_view::npos;
    if (!scanned.stray.empty()) {
      if (structured) {
        const StrayCharacter& stray = scanned.stray.front();
        return fail(stray.column + column - 3, 1,
                    "the value is not valid TOML: " + quote(stray.text) + " outside of quotes",
                    "put it into quotes");
      }
      value.data = std::string(text);
      value.span = span(column, length);
      return true;
    }
    const auto result = toml::parse(std::string_view(document));
    const PlaceMap places{source_, line_ - 1, column - 3};
    if (result && result.table().size() == 1) {
      value = convert(*result.table().get("v"), places);
      // Only a comment can follow the value here, and no shell user means one.
      const auto end = result.table().get("v")->source().end;
      const auto covered = code_point_offset(document, static_cast<std::size_t>(end.column) - 1);
      const bool whole = document.find_first_not_of(" \t", covered) == std::string::npos;
      if (std::holds_alternative<DateText>(value.data) || (!whole && !structured)) {
        value.data = std::string(text);
        value.span = span(column, length);
      }
      return true;
    }
    if (structured) {
      const int at = result ? column : PlaceMap{places}.span(result.error().source()).column;
      std::string why(result ? "" : result.error().description());
      if (const auto colon = why.find(": "); colon != std::string::npos) why.erase(0, colon + 2);
      return fail(std::max(at, column), 1, "the value is not valid TOML: " + why,
                  "quote the whole argument for the shell: 'model.stages=[1, 2]', "
                  "'data.root=\"/some/where\"'");
    }
    value.data = std::string(text);
    value.span = span(column, length);
    return true;
  }

  /// A later argument replaces an equal key of an earlier one.
  bool insert(Table& root, const std::vector<KeyPart>& key, Value value) {
    Table* table = &root;
    for (std::size_t i = 0; i < key.size(); ++i) {
      const KeyPart& part = key[i];
      const Span place = span(part.column, part.length);
      Entry* entry = table->find(part.name);
      const bool last = i + 1 == key.size();
      if (entry == nullptr) {
        table->entries.push_back({part.name, place, Value{Table{}, place, {}}});
        entry = &table->entries.back();
      } else if (last && entry->value.table() != nullptr && value.table() == nullptr) {
        return clash(*entry, place, "sets keys of it");
      }
      if (last) {
        entry->key_span = place;
        if (value.table() != nullptr && entry->value.table() != nullptr) {
          for (Entry& inner : value.table()->entries) {
            entry->value.table()->erase(inner.key);
            entry->value.table()->entries.push_back(std::move(inner));
          }
        } else {
          entry->value = std::move(value);
        }
      } else if (entry->value.table() == nullptr) {
        return clash(*entry, place, "sets it as a whole");
      }
      table = entry->value.table();
    }
    return true;
  }

  bool clash(const Entry& earlier, const Span& place, const std::string& what) {
    Diagnostic diagnostic;
    diagnostic.code = code::bad_override;
    diagnostic.message = quote(earlier.key) + " is overridden twice, as a whole and by its keys";
    diagnostic.primary.span = place;
    diagnostic.secondary.push_back({earlier.key_span, what});
    diagnostic.helps.push_back("keep one of the two arguments");
    diagnostics_.add(std::move(diagnostic));
    return false;
  }

  const std::vector<std::string>& arguments_;
  std::shared_ptr<const Source> source_;
  Diagnostics& diagnostics_;
  int line_ = 1;
};

}  // namespace

Document parse_overrides(const std::vector<std::string>& arguments, Diagnostics& diagnostics) {
  return OverrideParser(arguments, diagnostics).parse();
}

}  // namespace qhost::config
