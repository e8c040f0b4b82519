/// cli/output.h: prints documents on stdout.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/document.h"

namespace qhost::cli {

/// As text, or as indented JSON.
void print(const report::Document& document, bool as_json);

/// Of several documents the text is printed as they come, the JSON at the end: an array, to which
/// a document adds itself, or its elements where it is an array.
class DocumentStream {
 public:
  explicit DocumentStream(bool as_json) : as_json_(as_json) {}
  void add(const report::Document& document);
  void finish() const;

 private:
  bool as_json_;
  nlohmann::json all_ = nlohmann::json::array();
};

/// What a command shows of an experiment's points. One point: its document as it is. Several: in the
/// text a table with a line for each, or with `in_full` the documents, each below "[LABEL]"; in JSON
/// always an array of the documents with "label".
class PointDocuments {
 public:
  /// `columns`: of the table, behind the point's label.
  PointDocuments(bool as_json, bool in_full, std::size_t points,
                 std::vector<report::Column> columns);
  void add(const std::string& label, std::vector<report::Cell> line, report::Document document);
  void finish();

 private:
  bool as_json_;
  bool in_lines_;
  std::size_t points_;
  report::Table lines_;
  DocumentStream stream_;
};

}  // namespace qhost::cli
