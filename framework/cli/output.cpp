#include "cli/output.h"

#include <iostream>
#include <utility>

#include "cli/terminal.h"
#include "report/render.h"

namespace qhost::cli {
namespace {

/// Bytes of a file's name that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::json& json) {
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

std::vector<report::Column> with_label(std::vector<report::Column> columns) {
  columns.insert(columns.begin(), {"", "point"});
  return columns;
}

}  // namespace

void print(const report::Document& document, bool as_json) {
  if (as_json) {
    print_json(report::render_json(document));
  } else {
    std::cout << report::render_text(document, stdout_columns());
  }
}

void DocumentStream::add(const report::Document& document) {
  if (!as_json_) {
    std::cout << report::render_text(document, stdout_columns());
    return;
  }
  nlohmann::json json = report::render_json(document);
  if (document.root() == report::Document::Root::array) {
    for (nlohmann::json& element : json) all_.push_back(std::move(element));
  } else {
    all_.push_back(std::move(json));
  }
}

void DocumentStream::finish() const {
  if (as_json_) print_json(all_);
}

PointDocuments::PointDocuments(bool as_json, bool in_full, std::size_t points,
                               std::vector<report::Column> columns)
    : as_json_(as_json),
      in_lines_(points > 1 && !in_full && !as_json),
      points_(points),
      lines_("", with_label(std::move(columns))),
      stream_(as_json) {}

void PointDocuments::add(const std::string& label, std::vector<report::Cell> line,
                         report::Document document) {
  if (in_lines_) {
    line.insert(line.begin(), label);
    lines_.add_row(std::move(line));
    return;
  }
  if (!label.empty()) {
    document.put_first(report::Heading{"[" + label + "]"});
    document.add(report::Facts{{{"label", label}}});
  }
  if (points_ == 1) {
    print(document, as_json_);
    return;
  }
  stream_.add(document);
  if (!as_json_) std::cout << "\n";
}

void PointDocuments::finish() {
  if (in_lines_) {
    print(report::Document()
              .add(std::move(lines_))
              .add(report::Paragraph{"--layers shows the layers of each"}),
          /*as_json=*/false);
  } else if (points_ > 1) {
    stream_.finish();
  }
}

}  // namespace qhost::cli
