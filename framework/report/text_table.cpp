#include "report/text_table.h"

#include <algorithm>
#include <stdexcept>

#include "common/lines.h"
#include "common/utf8.h"

namespace qhost::report {
namespace {

std::string without_controls(std::string_view text) {
  std::string clean;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    const char32_t c = next_code_point(text, position);
    clean += is_control(c) ? "?" : text.substr(start, position - start);
  }
  return clean;
}

constexpr std::string_view gap = "  ";

}  // namespace

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) {
    throw std::invalid_argument("a table of " + std::to_string(columns_.size()) +
                                " columns got a row of " + std::to_string(cells.size()));
  }
  for (std::string& cell : cells) cell = without_controls(cell);
  rows_.push_back(std::move(cells));
}

void TextTable::add_rule() {
  rows_.emplace_back();
}

std::vector<TextTable::Width> TextTable::widths() const {
  // A narrower column of prose is hard to read.
  constexpr std::size_t prose = 24, words = 10;
  std::vector<Width> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    Width width{.now = display_width(columns_[i].title), .least = longest_word(columns_[i].title)};
    for (const auto& row : rows_) {
      if (row.empty()) continue;
      width.now = std::max(width.now, display_width(row[i]));
      width.least = std::max(width.least, longest_word(row[i]));
    }
    width.least = std::max(width.least, std::min(width.now, width.now > prose ? prose : words));
    if (columns_[i].align == Align::right) width.least = width.now;
    widths.push_back(width);
  }
  return widths;
}

bool TextTable::fit(std::vector<Width>& widths, std::size_t columns) {
  std::size_t now = 0, least = 0;
  for (const Width& width : widths) {
    now += width.now + gap.size();
    least += width.least + gap.size();
  }
  columns += gap.size();
  if (now > columns && least > columns) return false;
  for (; now > columns; --now) {
    Width* widest = nullptr;
    for (Width& width : widths) {
      if (width.now > width.least && (!widest || width.now >= widest->now)) widest = &width;
    }
    --widest->now;
  }
  return true;
}

void TextTable::add_lines(std::string& text, const std::vector<std::string>& cells,
                          const std::vector<Width>& widths) const {
  std::vector<std::vector<std::string>> lines;
  std::size_t height = 1;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    lines.push_back(wrapped(cells[i], widths[i].now));
    height = std::max(height, lines.back().size());
  }
  for (std::size_t at = 0; at < height; ++at) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) line += gap;
      const std::string content = at < lines[i].size() ? lines[i][at] : "";
      const std::string padding(widths[i].now - std::min(widths[i].now, display_width(content)),
                                ' ');
      line += columns_[i].align == Align::right ? padding + content : content + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
}

std::string TextTable::to_string(std::size_t columns) const {
  std::vector<Width> all = widths();
  bool below = false;
  if (columns > 0 && !fit(all, columns) && columns_.back().align == Align::left) {
    below = all.size() > 1;
    if (below) all.pop_back();
    fit(all, columns);
  }
  std::string text;
  const auto add_row = [&](const std::vector<std::string>& cells) {
    add_lines(text, cells, all);
    if (!below || cells.back().empty()) return;
    for (const std::string& line :
         wrapped(cells.back(), columns > gap.size() ? columns - gap.size() : 1)) {
      text += std::string(gap) + line + "\n";
    }
  };
  std::vector<std::string> titles, rule;
  for (const Column& column : columns_) titles.push_back(column.title);
  for (const Width& width : all) rule.emplace_back(width.now, '-');
  add_row(titles);
  add_lines(text, rule, all);
  for (const auto& row : rows_) {
    if (row.empty()) {
      add_lines(text, rule, all);
    } else {
      add_row(row);
    }
  }
  return text;
}

}  // namespace qhost::report
