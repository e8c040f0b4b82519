#include <stdexcept>
#include <utility>

#include "report/render.h"

namespace qhost::report {
namespace {

using nlohmann::json;

/// Fills the root of one document.
class JsonRoot {
 public:
  explicit JsonRoot(Document::Root root)
      : value_(root == Document::Root::array ? json::array() : json::object()) {}

  void add(const Heading&) {}
  void add(const Paragraph&) {}

  void add(const Facts& facts) {
    for (const Fact& fact : facts.facts) {
      if (!fact.key.empty()) put(fact.key, fact.value);
    }
  }

  void add(const Table& table) {
    if (table.form() == Form::text) return;
    json rows = json::array();
    for (const Table::Row& row : table.rows()) {
      if (row.form == Form::text) continue;
      json object = json::object();
      for (std::size_t i = 0; i < row.cells.size(); ++i) {
        const std::string& key = table.columns()[i].key;
        if (!key.empty()) set(object, key, row.cells[i].value);
      }
      rows.push_back(std::move(object));
    }
    put_elements(table.key(), std::move(rows));
  }

  void add(const List& list) {
    json items = json::array();
    for (const Item& item : list.items) {
      if (!item.value.is_null()) items.push_back(item.value);
    }
    put_elements(list.key, std::move(items));
  }

  void add(const Notes& notes) {
    if (notes.key.empty()) return;
    json texts = json::array();
    for (const Note& note : notes.notes) texts.push_back(note.text);
    put(notes.key, std::move(texts));
  }

  void add(const Parts& parts) {
    json documents = json::array();
    for (const Document& document : parts.documents) documents.push_back(render_json(document));
    put_elements(parts.key, std::move(documents));
  }

  json take() { return std::move(value_); }

 private:
  static void set(json& object, const std::string& key, json value) {
    if (!object.emplace(key, std::move(value)).second) {
      throw std::logic_error("the key `" + key + "` stands twice in one object of a document");
    }
  }

  void put(const std::string& key, json value) {
    if (value_.is_array()) {
      throw std::logic_error("the key `" + key + "` stands in a document that is an array");
    }
    set(value_, key, std::move(value));
  }

  /// As a member; without a key they are elements of an array, and of no object.
  void put_elements(const std::string& key, json elements) {
    if (!key.empty()) {
      put(key, std::move(elements));
    } else if (value_.is_array()) {
      for (json& element : elements) value_.push_back(std::move(element));
    }
  }

  json value_;
};

}  // namespace

json render_json(const Document& document) {
  JsonRoot root(document.root());
  for (const Section& section : document.sections()) {
    for (const Block& block : section.blocks) {
      std::visit([&](const auto& one) { root.add(one); }, block);
    }
  }
  return root.take();
}

}  // namespace qhost::report
