#include "report/text_table.h"

#include <algorithm>
#include <stdexcept>

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

std::string TextTable::to_string() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, display_width(row[i]));
    }
    widths.push_back(width);
  }

  std::string text;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += gap;
      const std::string content = cell(i);
      const std::string padding(widths[i] - display_width(content), ' ');
      line += columns_[i].align == Align::right ? padding + content : content + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  const auto rule = [&](std::size_t i) { return std::string(widths[i], '-'); };

  add_line([&](std::size_t i) { return columns_[i].title; });
  add_line(rule);
  for (const auto& row : rows_) {
    if (row.empty()) {
      add_line(rule);
    } else {
      add_line([&](std::size_t i) { return row[i]; });
    }
  }
  return text;
}

}  // namespace qhost::report
