#include "config/sweep.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "common/utf8.h"
#include "config/diagnostic_codes.h"

namespace qhost::config {
namespace {

constexpr std::size_t max_label = 80;

Diagnostic sweep_error(const Span& span, std::string message, std::string help) {
  Diagnostic diagnostic;
  diagnostic.code = code::sweep;
  diagnostic.message = std::move(message);
  diagnostic.primary.span = span;
  diagnostic.helps.push_back(std::move(help));
  return diagnostic;
}

/// Appends the changes of a point: "quantizer.name=bwn train.seed=2".
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
  if (count_code_points(text) > max_label) {
    text = text.substr(0, code_point_offset(text, max_label - 3)) + "...";
  }
  return text.empty() ? "point " + std::to_string(index) : text;
}

class SweepReader {
 public:
  explicit SweepReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  std::vector<SweepPart> read(const Entry& sweep) {
    std::vector<SweepPart> points;
    const Table* table = sweep.value.table();
    const Entry* list = table == nullptr ? nullptr : table->find("points");
    const Entry* seeds = table == nullptr ? nullptr : table->find("seeds");
    constexpr const char* example =
        "write points = [{quantizer.name = \"none\"}, {quantizer.name = \"bwn\"}]";
    if (table == nullptr) {
      Diagnostic diagnostic = wrong_type("sweep", "a table", sweep.value);
      diagnostic.helps.emplace_back("write [sweep] on a line, points = [...] below");
      diagnostics_.add(std::move(diagnostic));
      return points;
    }
    for (const Entry& entry : table->entries) {
      if (entry.key == "points" || entry.key == "seeds") continue;
      diagnostics_.add(unknown_key(entry, "[sweep]", "", {"points", "seeds"}, KeyDirectory()));
    }
    if (list == nullptr && seeds == nullptr) {
      diagnostics_.add(sweep_error(sweep.key_span, "[sweep] needs `points` or `seeds`", example));
    } else if (list == nullptr) {
      points.emplace_back();
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
    if (seeds != nullptr) points = with_seeds(points, seeds->value);
    return points;
  }

 private:
  /// Every point with every seed.
  std::vector<SweepPart> with_seeds(const std::vector<SweepPart>& points, const Value& value) {
    constexpr const char* example = "write seeds = [1, 2, 3]";
    const auto* list = value.array();
    if (list == nullptr || list->empty()) {
      Diagnostic diagnostic = wrong_type("sweep.seeds", "a list of integers", value);
      if (list != nullptr) diagnostic.message = "`sweep.seeds` is empty";
      diagnostic.helps.emplace_back(example);
      diagnostics_.add(std::move(diagnostic));
      return points;
    }
    std::vector<SweepPart> all;
    std::map<std::int64_t, Span> seen;
    for (const Value& seed : *list) {
      const std::int64_t* number = seed.integer();
      if (number == nullptr) {
        Diagnostic diagnostic = wrong_type("sweep.seeds", "an integer", seed);
        diagnostic.message += " in it";
        diagnostic.helps.emplace_back(example);
        diagnostics_.add(std::move(diagnostic));
        continue;
      }
      const auto [before, is_new] = seen.emplace(*number, seed.span);
      if (!is_new) {
        Diagnostic diagnostic = sweep_error(
            seed.span, "the seed " + std::to_string(*number) + " stands in `sweep.seeds` twice",
            "the same seed gives the same run");
        diagnostic.secondary.push_back({before->second, "the other one"});
        diagnostics_.add(std::move(diagnostic));
      }
    }
    for (const SweepPart& point : points) {
      if (const Entry* train = point.changes.find("train");
          train != nullptr && train->value.table() != nullptr &&
          train->value.table()->find("seed") != nullptr) {
        diagnostics_.add(sweep_error(train->value.table()->find("seed")->value.span,
                                     "a point's `train.seed` and `sweep.seeds` contradict",
                                     "take one of the two out"));
        continue;
      }
      for (const Value& seed : *list) {
        if (seed.integer() == nullptr) continue;
        SweepPart one = point;
        one.has_seed = true;
        one.group = point.label;
        one.label = point.label + (point.label.empty() ? "" : " ") +
                    "seed=" + std::to_string(*seed.integer());
        set_seed(one.changes, seed);
        all.push_back(std::move(one));
      }
    }
    return all;
  }

  static void set_seed(Table& changes, const Value& seed) {
    Table train;
    if (const Entry* entry = changes.find("train")) {
      if (entry->value.table() == nullptr) return;  // a wrong type, which is reported elsewhere
      train = *entry->value.table();
      changes.erase("train");
    }
    train.entries.push_back(entry_of("seed", seed));
    Value value;
    value.data = std::move(train);
    value.span = seed.span;
    changes.entries.push_back(entry_of("train", std::move(value)));
  }

  static Entry entry_of(const std::string& key, Value value) {
    Entry entry;
    entry.key = key;
    entry.key_span = value.span;
    entry.value = std::move(value);
    return entry;
  }

  void read_point(const Value& value, std::vector<SweepPart>& points) {
    const std::string path = "sweep.points." + std::to_string(points.size());
    SweepPart point;
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

  void read_label(const std::string& path, const Value& value, SweepPart& point) {
    const std::string* label = value.string();
    if (label == nullptr) {
      Diagnostic diagnostic = wrong_type(path + ".label", "a string", value);
      diagnostic.helps.emplace_back("write label = \"...\"");
      diagnostics_.add(std::move(diagnostic));
    } else if (label->empty() || count_code_points(*label) > max_label ||
               escape_controls(*label) != *label) {
      diagnostics_.add(
          sweep_error(value.span, quote(*label) + " cannot be a label",
                      "a label has 1 to " + std::to_string(max_label) + " printable characters"));
    } else {
      point.label = *label;
      point.label_span = value.span;
      point.own_label = true;
    }
  }

  /// Labels are the headings of a table's rows. Two equal labels are an error if the file gives
  /// them, and are numbered otherwise.
  void make_unique(std::vector<SweepPart>& points) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < points.size(); ++i) {
      SweepPart& point = points[i];
      const auto same =
          std::find_if(points.begin(), points.begin() + static_cast<long>(i),
                       [&](const SweepPart& other) { return other.label == point.label; });
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

}  // namespace

std::vector<SweepPart> read_sweep(const Entry& sweep, Diagnostics& diagnostics) {
  return SweepReader(diagnostics).read(sweep);
}

}  // namespace qhost::config
