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
  /// Every line ends in '\n'. A table that is wider than `columns` (0: no limit) gets narrower left
  /// columns, the widest first, with their cells broken at blanks. If the longest words forbid it,
  /// the last column, if it is a left one, goes into lines of its own below each row. What fits in
  /// no way stays wider.
  std::string to_string(std::size_t columns = 0) const;

 private:
  struct Width {
    std::size_t now = 0;
    std::size_t least = 0;  ///< to which it may be narrowed
  };
  std::vector<Width> widths() const;
  /// Narrows them into `columns`; false, and nothing is changed, if they cannot be.
  static bool fit(std::vector<Width>& widths, std::size_t columns);
  void add_lines(std::string& text, const std::vector<std::string>& cells,
                 const std::vector<Width>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< an empty row is a rule
};

}  // namespace qhost::report
