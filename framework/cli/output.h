/// cli/output.h: prints documents on stdout.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

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

/// The documents of an experiment's points: one document as it is where there is one point. With
/// more a line "[LABEL]" stands above each and an empty line below it, and JSON has "label".
class PointDocuments {
 public:
  PointDocuments(bool as_json, std::size_t points)
      : stream_(as_json), as_json_(as_json), points_(points) {}
  void add(const std::string& label, report::Document document);
  void finish() const;

 private:
  DocumentStream stream_;
  bool as_json_;
  std::size_t points_;
};

}  // namespace qhost::cli
