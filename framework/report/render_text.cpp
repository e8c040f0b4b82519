#include "common/utf8.h"
#include "report/render.h"
#include "report/text_table.h"

namespace qhost::report {
namespace {

std::string line(const std::string& text) {
  return escape_controls(text, /*keep_line_breaks=*/true) + "\n";
}

std::string text_of(const Heading& heading) {
  return line(heading.text);
}

std::string text_of(const Paragraph& paragraph) {
  return line(paragraph.text);
}

std::string text_of(const Facts& facts) {
  std::string text;
  for (const Fact& fact : facts.facts) {
    if (fact.label.empty() && fact.text.empty()) continue;
    std::string label = escape_controls(fact.label);
    const std::size_t width = display_width(label);
    if (width > 0 && width < facts.text_column) label.append(facts.text_column - width, ' ');
    text += line(label + fact.text);
  }
  return text;
}

std::string text_of(const Table& table, std::size_t columns_of_terminal) {
  if (table.form() == Form::json) return "";
  std::vector<TextTable::Column> columns;
  for (const Column& column : table.columns()) {
    if (!column.title.empty()) columns.push_back({column.title, column.align});
  }
  TextTable text(columns);
  for (const Table::Row& row : table.rows()) {
    if (row.form == Form::json) continue;
    if (row.cells.empty()) {
      text.add_rule();
      continue;
    }
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (!table.columns()[i].title.empty()) cells.push_back(row.cells[i].text);
    }
    text.add_row(std::move(cells));
  }
  return text.to_string(columns_of_terminal);
}

std::string text_of(const List& list) {
  std::string text;
  for (const Item& item : list.items) {
    if (!item.text.empty()) text += line("  " + item.text);
    for (const std::string& detail : item.details) text += line("    " + detail);
  }
  return text;
}

std::string text_of(const Notes& notes) {
  std::string text;
  for (const Note& note : notes.notes) {
    text += note.severity == Note::Severity::warning ? "warning: " : "note: ";
    text += escape_controls(note.text) + "\n";
  }
  return text;
}

/// Below each other, with a blank line between any two that say something.
void append(std::string& text, const std::string& more) {
  if (!text.empty() && !more.empty()) text += "\n";
  text += more;
}

std::string text_of(const Parts& parts, std::size_t columns) {
  std::string text;
  for (const Document& document : parts.documents) append(text, render_text(document, columns));
  return text;
}

template <class Block>
std::string text_of(const Block& block, std::size_t) {
  return text_of(block);
}

}  // namespace

std::string render_text(const Document& document, std::size_t columns) {
  std::string text;
  for (const Section& section : document.sections()) {
    std::string blocks;
    for (const Block& block : section.blocks) {
      blocks += std::visit([&](const auto& one) { return text_of(one, columns); }, block);
    }
    append(text, blocks);
  }
  return text;
}

}  // namespace qhost::report
