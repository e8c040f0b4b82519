/// report/table.h: aligned plain-text tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qhost::report {

/// Terminal columns that a UTF-8 text occupies: combining marks 0, East Asian wide characters and
/// emoji 2, every other character 1; a malformed byte counts 1.
std::size_t display_width(std::string_view text);

/// 1234567 -> "1,234,567"
std::string with_separators(std::int64_t number);

enum class Align { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
};

/// Lines "cell  cell  cell" under a title line and a rule; columns as wide as their widest cell,
/// no trailing blanks, no colour. Control characters in a cell become '?', so that a name from a
/// file cannot break the table or steer the terminal.
class Table {
 public:
  explicit Table(std::vector<Column> columns);
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
