#include "config/load.h"

#include <algorithm>
#include <set>

#include "config/codes.h"
#include "config/extends.h"
#include "config/merge.h"
#include "config/resolver.h"
#include "config/text.h"

namespace qhost::config {
namespace {

constexpr std::size_t kMaxLabel = 80;

struct Point {
  std::string label;
  Span label_span;
  bool own_label = false;
  Table changes;
};

Diagnostic sweep_error(const Span& span, std::string message, std::string help) {
  Diagnostic diagnostic;
  diagnostic.code = code::sweep;
  diagnostic.message = std::move(message);
  diagnostic.primary.span = span;
  diagnostic.helps.push_back(std::move(help));
  return diagnostic;
}

/// "quantizer.name=bwn train.seed=2": what the point changes.
void describe(const Table& table, const std::string& path, std::string& text) {
  for (const Entry& entry : table.entries) {
    const std::string key = path.empty() ? entry.key : path + '.' + entry.key;
    if (entry.value.table() != nullptr) {
      describe(*entry.value.table(), key, text);
      continue;
    }
    const std::string* string = entry.value.string();
    text += (text.empty() ? "" : " ") + key + '=' +
            (string != nullptr ? *string : value_text(entry.value));
  }
}

std::string default_label(const Table& changes, std::size_t index) {
  std::string text;
  describe(changes, "", text);
  text = escape_controls(text);
  if (count_code_points(text) > kMaxLabel) {
    text = text.substr(0, code_point_offset(text, kMaxLabel - 3)) + "...";
  }
  return text.empty() ? "point " + std::to_string(index) : text;
}

class SweepReader {
 public:
  explicit SweepReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  std::vector<Point> read(const Entry& sweep) {
    std::vector<Point> points;
    const Table* table = sweep.value.table();
    const Entry* list = table == nullptr ? nullptr : table->find("points");
    constexpr const char* example =
        "write points = [{quantizer.name = \"none\"}, {quantizer.name = \"bwn\"}]";
    if (table == nullptr) {
      Diagnostic diagnostic = wrong_type("sweep", "a table", sweep.value);
      diagnostic.helps.emplace_back("write [sweep] on a line, points = [...] below");
      diagnostics_.add(std::move(diagnostic));
      return points;
    }
    for (const Entry& entry : table->entries) {
      if (entry.key == "points") continue;
      diagnostics_.add(unknown_key(entry, "[sweep]", "", {"points"}, KeyDirectory()));
    }
    if (list == nullptr) {
      diagnostics_.add(sweep_error(sweep.key_span, "[sweep] needs `points`", example));
    } else if (list->value.array() == nullptr) {
      Diagnostic diagnostic = wrong_type("sweep.points", "a list of tables", list->value);
      diagnostic.helps.emplace_back(example);
      diagnostics_.add(std::move(diagnostic));
    } else if (list->value.array()->empty()) {
      diagnostics_.add(sweep_error(list->value.span, "[sweep] has no point", example));
    } else {
      for (const Value& value : *list->value.array()) read_point(value, points);
      make_unique(points);
    }
    return points;
  }

 private:
  void read_point(const Value& value, std::vector<Point>& points) {
    const std::string path = "sweep.points." + std::to_string(points.size());
    Point point;
    if (value.table() == nullptr) {
      Diagnostic diagnostic = wrong_type(path, "a table", value);
      diagnostic.helps.emplace_back("a point holds what it changes: {train.seed = 2}");
      diagnostics_.add(std::move(diagnostic));
    } else {
      point.changes = *value.table();
      for (const char* key : {"sweep", "extends"}) {
        if (const Entry* entry = point.changes.find(key)) {
          diagnostics_.add(sweep_error(entry->key_span, quote(key) + " cannot stand in a point",
                                       "a point changes keys of the experiment's tables"));
          point.changes.erase(key);
        }
      }
      if (const Entry* label = point.changes.find("label")) {
        read_label(path, label->value, point);
        point.changes.erase("label");
      }
    }
    if (!point.own_label) point.label = default_label(point.changes, points.size() + 1);
    points.push_back(std::move(point));
  }

  void read_label(const std::string& path, const Value& value, Point& point) {
    const std::string* label = value.string();
    if (label == nullptr) {
      Diagnostic diagnostic = wrong_type(path + ".label", "a string", value);
      diagnostic.helps.emplace_back("write label = \"...\"");
      diagnostics_.add(std::move(diagnostic));
    } else if (label->empty() || count_code_points(*label) > kMaxLabel ||
               escape_controls(*label) != *label) {
      diagnostics_.add(
          sweep_error(value.span, quote(*label) + " cannot be a label",
                      "a label has 1 to " + std::to_string(kMaxLabel) + " printable characters"));
    } else {
      point.label = *label;
      point.label_span = value.span;
      point.own_label = true;
    }
  }

  /// Labels head the rows of a table: two equal ones are an error where they were written, and
  /// numbered where they were not.
  void make_unique(std::vector<Point>& points) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < points.size(); ++i) {
      Point& point = points[i];
      const auto same =
          std::find_if(points.begin(), points.begin() + static_cast<long>(i),
                       [&](const Point& other) { return other.label == point.label; });
      if (same == points.begin() + static_cast<long>(i)) continue;
      if (point.own_label && same->own_label) {
        Diagnostic diagnostic =
            sweep_error(point.label_span, "two points have the label " + quote(point.label),
                        "give each point a label of its own");
        diagnostic.secondary.push_back({same->label_span, "the other one"});
        diagnostics_.add(std::move(diagnostic));
      } else {
        point.label += " (" + std::to_string(i + 1) + ')';
      }
    }
  }

  Diagnostics& diagnostics_;
};

/// The part of the overrides that is about [sweep] changes the file, the rest every point.
Table take_sweep(Table& overrides) {
  Table part;
  if (const Entry* sweep = overrides.find("sweep")) part.entries.push_back(*sweep);
  overrides.erase("sweep");
  return part;
}

ErrorKind kind_of(const std::vector<Diagnostic>& diagnostics) {
  const bool refused = std::all_of(diagnostics.begin(), diagnostics.end(), [](const auto& one) {
    return one.severity != Severity::error || one.code == code::refused_plugin;
  });
  return refused ? ErrorKind::plugin : ErrorKind::configuration;
}

}  // namespace

Catalog::~Catalog() = default;

LoadResult load_experiment(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Catalog& catalog) {
  LoadResult result;
  Diagnostics diagnostics;
  Document arguments = parse_overrides(overrides, diagnostics);
  Document document = load_document(file, diagnostics);
  const bool complete = document.complete && arguments.complete;
  Table& root = document.root;
  const bool read = document.complete || !root.entries.empty();

  merge(root, take_sweep(arguments.root), MergeLevel::experiment, diagnostics);
  std::vector<Point> points;
  if (const Entry* sweep = root.find("sweep")) {
    result.sweep = true;
    points = SweepReader(diagnostics).read(*sweep);
    root.erase("sweep");
  }
  // Points that could not be read leave the file itself to check.
  if (points.empty()) points.emplace_back();
  for (const Point& point : points) {
    if (!read) break;
    Table table = root;
    merge(table, point.changes, MergeLevel::experiment, diagnostics);
    merge(table, arguments.root, MergeLevel::experiment, diagnostics);
    Resolver resolver(table, complete, catalog, diagnostics);
    result.points.push_back({point.label, resolver.resolve(file)});
  }
  result.diagnostics = diagnostics.sorted();
  result.ok = !diagnostics.has_errors();
  if (!result.ok) {
    result.points.clear();
    result.error_kind = kind_of(result.diagnostics);
  }
  return result;
}

std::vector<SweepPoint> load_experiment_or_throw(const std::filesystem::path& file,
                                                 const std::vector<std::string>& overrides,
                                                 Catalog& catalog) {
  LoadResult result = load_experiment(file, overrides, catalog);
  if (!result.ok) throw to_error(result.diagnostics, result.error_kind);
  return std::move(result.points);
}

}  // namespace qhost::config
