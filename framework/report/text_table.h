/// report/text_table.h: aligned plain-text tables. Internal to render_text().
#pragma once

#include <string>
#include <vector>

#include "report/document.h"

namespace qhost::report {

/// Lines "cell  cell  cell" under a title line and a rule; columns as wide as their widest cell,
/// no trailing blanks, no color. Control characters in a cell become '?', so that a name from a
/// file cannot break the table or steer the terminal.
class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit TextTable(std::vector<Column> columns);
  /// Throws std::invalid_argument unless there is one cell per column.
  void add_row(std::vector<std::string> cells);
  /// A line of dashes between rows (before totals).
  void add_rule();
  bool empty() const { return rows_.empty(); }
  /// Every line ends in '\n'.
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< an empty row is a rule
};

}  // namespace qhost::report
