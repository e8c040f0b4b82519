// Renders a diagnostic as one line, with its source lines, or as JSON.
#include <algorithm>
#include <vector>

#include "common/utf8.h"
#include "config/diagnostic.h"

namespace qhost::config {
namespace {

constexpr int tab_stop = 4;

const char* color_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "\x1b[1;31m";
    case Severity::warning:
      return "\x1b[1;33m";
    case Severity::note:
      return "\x1b[1;36m";
  }
  return "";
}

class Renderer {
 public:
  explicit Renderer(const RenderOptions& options) : options_(options) {}

  std::string paint(const char* color, const std::string& text) const {
    return options_.color ? color + text + "\x1b[0m" : text;
  }

  std::string headline(const Diagnostic& diagnostic) const {
    std::string text = diagnostic.primary.span.to_string();
    if (!text.empty()) text += ": ";
    text += paint(color_of(diagnostic.severity), std::string(to_string(diagnostic.severity)) + ":");
    text += ' ' + escape_controls(diagnostic.message, true);
    if (!diagnostic.code.empty()) text += " [" + diagnostic.code + ']';
    return text;
  }

  /// The source line and the marks below it; "" if there is no line to show.
  std::string excerpt(const Label& label, char mark, const char* color) const {
    const Span& span = label.span;
    if (!span.source || span.line < 1 || span.line > span.source->line_count()) return "";
    const std::string number = std::to_string(span.line);
    const int room = std::max(20, options_.width - static_cast<int>(number.size()) - 7);
    const Cut cut = cut_line(span, room);
    std::string marks(static_cast<std::size_t>(cut.before), ' ');
    marks += paint(color, std::string(static_cast<std::size_t>(cut.marked), mark));
    if (!label.text.empty()) marks += ' ' + escape_controls(label.text);
    std::string text = "    " + number + " | " + cut.text + '\n';
    text += "    " + std::string(number.size(), ' ') + " | " + marks + '\n';
    return text;
  }

 private:
  struct Cell {
    std::string text;
    int width;
  };
  struct Cut {
    std::string text;
    int before = 0, marked = 1;  ///< columns
  };

  static std::vector<Cell> cells_of(std::string_view line) {
    std::vector<Cell> cells;
    int column = 0;
    for (std::size_t position = 0; position < line.size();) {
      const std::size_t start = position;
      const char32_t code_point = next_code_point(line, position);
      const std::string_view bytes = line.substr(start, position - start);
      Cell cell;
      if (code_point == '\t') {
        cell.width = tab_stop - column % tab_stop;
        cell.text = std::string(static_cast<std::size_t>(cell.width), ' ');
      } else if (is_control(code_point)) {
        cell.text = escape_controls(bytes);
        cell.width = static_cast<int>(cell.text.size());
      } else {
        cell.text = escape_controls(bytes);  // replaces bytes that are not UTF-8
        cell.width = display_width(code_point);
      }
      column += cell.width;
      cells.push_back(std::move(cell));
    }
    return cells;
  }

  /// The part of the span's line that fits into `room` columns, and the span's start in it.
  static Cut cut_line(const Span& span, int room) {
    const std::vector<Cell> cells = cells_of(span.source->line(span.line));
    const int count = static_cast<int>(cells.size());
    const int first = std::clamp(span.column - 1, 0, count);
    const int last = std::clamp(first + std::max(1, span.length), first, count);
    std::vector<int> columns = {0};  // columns[i] is the column where cell i starts
    for (const Cell& cell : cells) columns.push_back(columns.back() + cell.width);
    const auto at = [&](int i) { return columns[static_cast<std::size_t>(i)]; };

    int from = 0, to = count;
    if (at(count) > room) {
      const int inner = room - 6;  // "..." takes three columns on each side
      const int wanted = std::min(at(last) - at(first), inner);
      const int lead = std::max(0, at(first) - (inner - wanted) / 2);
      while (from < first && at(from) < lead) ++from;
      while (to > first && at(to) - at(from) > inner) --to;
    }
    Cut cut;
    if (from > 0) cut.text = "...";
    cut.before = static_cast<int>(cut.text.size()) + at(first) - at(from);
    for (int i = from; i < to; ++i) cut.text += cells[static_cast<std::size_t>(i)].text;
    if (to < count) cut.text += "...";
    cut.marked = std::max(1, at(std::min(last, to)) - at(first));
    return cut;
  }

  RenderOptions options_;
};

/// `text` behind "  head: ", with further lines aligned below.
std::string block(const std::string& head, const std::string& text) {
  std::string out = "  " + head + ": ";
  for (const char c : escape_controls(text, true)) {
    out += c;
    if (c == '\n') out += "    ";
  }
  while (out.ends_with(' ') || out.ends_with('\n')) out.pop_back();
  return out + '\n';
}

nlohmann::json place(const Label& label) {
  return {{"file", escape_controls(label.span.file)},
          {"line", label.span.line},
          {"column", label.span.column},
          {"length", label.span.length},
          {"label", escape_controls(label.text)}};
}

}  // namespace

std::string render_concise(const Diagnostic& diagnostic) {
  return Renderer({}).headline(diagnostic);
}

std::string render(const Diagnostic& diagnostic, const RenderOptions& options) {
  const Renderer renderer(options);
  std::string text = renderer.headline(diagnostic) + '\n';
  text += renderer.excerpt(diagnostic.primary, '^', color_of(diagnostic.severity));
  for (const Label& label : diagnostic.secondary) {
    const std::string lines = renderer.excerpt(label, '-', "\x1b[1;34m");
    text += "  " + label.span.to_string() + ':';
    text += lines.empty() ? ' ' + escape_controls(label.text) + '\n' : '\n' + lines;
  }
  for (const auto& note : diagnostic.notes) text += block("note", note);
  for (const auto& help : diagnostic.helps) text += block("help", help);
  return text;
}

std::string render(const std::vector<Diagnostic>& diagnostics, const RenderOptions& options,
                   std::size_t limit) {
  std::string text;
  const std::size_t shown = std::min(limit, diagnostics.size());
  for (std::size_t i = 0; i < shown; ++i) {
    if (i != 0) text += '\n';
    text += render(diagnostics[i], options);
  }
  if (shown < diagnostics.size()) {
    text += "\nand " + std::to_string(diagnostics.size() - shown) + " more\n";
  }
  return text;
}

nlohmann::json to_json(const Diagnostic& diagnostic) {
  nlohmann::json json = place(diagnostic.primary);
  json["code"] = diagnostic.code;
  json["severity"] = to_string(diagnostic.severity);
  json["message"] = escape_controls(diagnostic.message, true);
  json["secondary"] = nlohmann::json::array();
  for (const Label& label : diagnostic.secondary) json["secondary"].push_back(place(label));
  // JSON must be UTF-8, whatever a file or an argument contained.
  const auto texts = [](const std::vector<std::string>& list) {
    auto array = nlohmann::json::array();
    for (const auto& text : list) array.push_back(escape_controls(text, true));
    return array;
  };
  json["notes"] = texts(diagnostic.notes);
  json["helps"] = texts(diagnostic.helps);
  return json;
}

}  // namespace qhost::config
