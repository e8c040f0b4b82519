#include "cli/output.h"

#include <iostream>
#include <utility>

#include "report/render.h"

namespace qhost::cli {
namespace {

/// Bytes of a file's name that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::json& json) {
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

}  // namespace

void print(const report::Document& document, bool as_json) {
  if (as_json) {
    print_json(report::render_json(document));
  } else {
    std::cout << report::render_text(document);
  }
}

void DocumentStream::add(const report::Document& document) {
  if (!as_json_) {
    std::cout << report::render_text(document);
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

void PointDocuments::add(const std::string& label, report::Document document) {
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

void PointDocuments::finish() const {
  if (points_ > 1) stream_.finish();
}

}  // namespace qhost::cli
