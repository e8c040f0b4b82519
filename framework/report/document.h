/// report/document.h: what a command reports, in every form of output at once.
///
/// A document is filled once, by the document_of() of what it shows. report/render.h turns it into
/// text and into JSON. A block or a part of one belongs to both forms, or to one:
///
///   text  what has a label, a title or a text; blocks stand one below the other, and a blank line
///         separates sections
///   JSON  what has a key, as a member of the root object; in a document with an array as its root,
///         the rows of its tables, the items of its lists and its parts are the elements
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

namespace qhost::report {

class Document;

/// A line above what belongs together. Text only.
struct Heading {
  std::string text;
};

/// One or several lines. Text only.
struct Paragraph {
  std::string text;
};

/// JSON `"key": value`; text "label   text". Without a label the text is a line of its own.
struct Fact {
  std::string key;  ///< "": not in JSON
  nlohmann::json value = {};
  std::string label = "";
  std::string text = "";  ///< label and text "": not in the text
};

struct Facts {
  std::vector<Fact> facts;
  std::size_t text_column = 14;  ///< where the texts begin
};

/// A fact for each member of the object, JSON only.
Facts members_of(const nlohmann::json& object);

enum class Align { left, right };

struct Column {
  std::string key;    ///< of each row's object; "": not in JSON
  std::string title;  ///< "": not in the text
  Align align = Align::left;
};

struct Cell {
  /// The same in both forms.
  Cell(std::string same) : value(same), text(std::move(same)) {}  // NOLINT: a string is a cell
  Cell(const char* same) : Cell(std::string(same)) {}             // NOLINT
  Cell(nlohmann::json value_, std::string text_)
      : value(std::move(value_)), text(std::move(text_)) {}

  nlohmann::json value;
  std::string text;
};
/// Of a column without a title.
Cell json_cell(nlohmann::json value);
/// null where there is no value.
template <class T>
nlohmann::json or_null(const T& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

enum class Form { both, text, json };

/// JSON: an array of objects, one a row.
class Table {
 public:
  struct Row {
    std::vector<Cell> cells;  ///< none: a rule
    Form form = Form::both;
  };

  /// `key` "": not in JSON, unless the root is an array.
  Table(std::string key, std::vector<Column> columns);
  /// Throws std::invalid_argument unless there is one cell per column.
  void add_row(std::vector<Cell> cells, Form form = Form::both);
  /// Text: a line of dashes between rows (before totals).
  void add_rule();
  /// The rows are given in one form alone.
  void restrict_to(Form form) { form_ = form; }

  const std::string& key() const { return key_; }
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<Row>& rows() const { return rows_; }
  Form form() const { return form_; }

 private:
  std::string key_;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
  Form form_ = Form::both;
};

/// JSON: the value, null for none; text: an indented line, with further ones indented below it.
struct Item {
  nlohmann::json value;
  std::string text;  ///< "": not in the text
  std::vector<std::string> details = {};
};

struct List {
  std::string key;
  std::vector<Item> items;
};

/// JSON: an array of the texts; text "note: TEXT", one line each.
struct Note {
  enum class Severity { note, warning };
  std::string text;
  Severity severity = Severity::note;
};

struct Notes {
  std::string key;  ///< "": not in JSON
  std::vector<Note> notes;
};

/// Documents within one: JSON: an array of theirs; text: each below a blank line.
struct Parts {
  std::string key;
  std::vector<Document> documents;
};

using Block = std::variant<Heading, Paragraph, Facts, Table, List, Notes, Parts>;

struct Section {
  std::vector<Block> blocks;
};

class Document {
 public:
  enum class Root { object, array };
  explicit Document(Root root = Root::object) : root_(root) {}

  /// What is added from here on stands below a blank line, where there is text on both sides.
  Document& begin_section();
  Document& add(Block block);
  /// Above all else.
  Document& put_first(Block block);

  Root root() const { return root_; }
  const std::vector<Section>& sections() const { return sections_; }

 private:
  Root root_;
  std::vector<Section> sections_;
};

}  // namespace qhost::report
