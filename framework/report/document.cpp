#include "report/document.h"

#include <stdexcept>
#include <utility>

namespace qhost::report {

Facts members_of(const nlohmann::json& object) {
  Facts facts;
  for (const auto& [key, value] : object.items()) facts.facts.push_back({key, value});
  return facts;
}

Cell json_cell(nlohmann::json value) {
  return {std::move(value), ""};
}

Table::Table(std::string key, std::vector<Column> columns)
    : key_(std::move(key)), columns_(std::move(columns)) {}

void Table::add_row(std::vector<Cell> cells, Form form) {
  if (cells.size() != columns_.size()) {
    throw std::invalid_argument("a table of " + std::to_string(columns_.size()) +
                                " columns got a row of " + std::to_string(cells.size()));
  }
  rows_.push_back({std::move(cells), form});
}

void Table::add_rule() {
  rows_.push_back({{}, Form::text});
}

Document& Document::begin_section() {
  sections_.emplace_back();
  return *this;
}

Document& Document::add(Block block) {
  if (sections_.empty()) begin_section();
  sections_.back().blocks.push_back(std::move(block));
  return *this;
}

Document& Document::put_first(Block block) {
  if (sections_.empty()) begin_section();
  auto& blocks = sections_.front().blocks;
  blocks.insert(blocks.begin(), std::move(block));
  return *this;
}

}  // namespace qhost::report
