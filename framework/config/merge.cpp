#include "config/merge.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/diagnostic_codes.h"
#include "config/schema.h"

namespace qhost::config {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 6 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

const std::string* name_of(const Table& table) {
  const Entry* entry = table.find("name");
  return entry == nullptr ? nullptr : entry->value.string();
}

/// True if `over` names another component than `base`; `now` is the name of a table without one.
bool renames(const Table& base, const Table& over, const std::string& now) {
  const std::string* next = name_of(over);
  const std::string* name = name_of(base);
  return next != nullptr && *next != (name == nullptr ? now : *name);
}

/// Makes `next` remember the places of `old`, which it replaces.
void remember(Value& next, const Value& old) {
  next.overridden.insert(next.overridden.begin(), old.overridden.begin(), old.overridden.end());
  next.overridden.insert(next.overridden.begin(), old.span);
}

void replace(Value& below, const Value& over) {
  Value next = over;
  remember(next, below);
  // A new component name overrides the former name, not the whole table.
  if (below.table() != nullptr && next.table() != nullptr) {
    const Entry* old_name = below.table()->find("name");
    Entry* new_name = next.table()->find("name");
    if (old_name != nullptr && new_name != nullptr) remember(new_name->value, old_name->value);
  }
  below = std::move(next);
}

class Merger {
 public:
  explicit Merger(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void merge(Table& base, const Table& over, MergeLevel level) {
    for (const Entry& entry : over.entries) {
      const TableDeclaration* table =
          level == MergeLevel::experiment ? find_table(entry.key) : nullptr;
      Entry* below = base.find(entry.key);
      if (table != nullptr && table->component) {
        merge_component(base, below, entry, *table);
      } else if (below == nullptr) {
        base.entries.push_back(entry);
      } else if (below->value.array() != nullptr && is_index_table(entry.value)) {
        // The points of a sweep follow the rules of an experiment.
        const bool points = entry.key == "points";
        merge_elements(*below, entry, [&](Value& element, const Value& change) {
          merge(*element.table(), *change.table(),
                points ? MergeLevel::experiment : MergeLevel::plain);
        });
      } else {
        merge_values(*below, entry);
      }
    }
  }

 private:
  void merge_values(Entry& below, const Entry& entry) {
    if (below.value.table() != nullptr && entry.value.table() != nullptr) {
      merge(*below.value.table(), *entry.value.table(), MergeLevel::plain);
    } else {
      replace(below.value, entry.value);
    }
    below.key_span = entry.key_span;
  }

  void merge_component(Table& base, Entry* below, const Entry& entry,
                       const TableDeclaration& table) {
    const Table* over = entry.value.table();
    if (table.name == "quantizer" && is_index_table(entry.value)) {
      if (below != nullptr && below->value.table() != nullptr) {  // a list of one
        Value list{Array{below->value}, below->value.span, {}};
        below->value = std::move(list);
      }
      if (below == nullptr || below->value.array() == nullptr) {
        bad_index(*over, below, "there is no [quantizer] to change",
                  "write quantizer.name=NAME to have one");
      } else {
        merge_elements(*below, entry, [&](Value& element, const Value& change) {
          merge_rule(*element.table(), *change.table());
        });
      }
    } else if (below == nullptr) {
      base.entries.push_back(entry);
    } else if (over != nullptr && below->value.array() != nullptr && name_of(*over) == nullptr) {
      which_rule(*below, entry);
    } else if (over != nullptr && below->value.table() != nullptr &&
               renames(*below->value.table(), *over, table.default_component)) {
      replace(below->value, entry.value);
      below->key_span = entry.key_span;
    } else {
      merge_values(*below, entry);
    }
  }

  /// Merges one rule of a list. Another method drops the old options and keeps the layers and
  /// roles.
  void merge_rule(Table& rule, const Table& over) {
    if (renames(rule, over, "")) {
      std::erase_if(rule.entries, [](const Entry& entry) {
        return entry.key != "name" && entry.key != "layers" && entry.key != "roles";
      });
    }
    merge(rule, over, MergeLevel::plain);
  }

  template <class MergeElement>
  void merge_elements(Entry& below, const Entry& entry, const MergeElement& merge_element) {
    Array& list = *below.value.array();
    for (const Entry& change : entry.value.table()->entries) {
      std::size_t index = 0;
      std::from_chars(change.key.data(), change.key.data() + change.key.size(), index);
      if (index >= list.size()) {
        bad_index_entry(change, &below,
                        quote(entry.key) + " has " + std::to_string(list.size()) +
                            (list.size() == 1 ? " element" : " elements") + ", there is no " +
                            quote(change.key),
                        list.empty()
                            ? "write the list in the file"
                            : "elements count from 0 to " + std::to_string(list.size() - 1));
      } else if (list[index].table() != nullptr && change.value.table() != nullptr) {
        merge_element(list[index], change.value);
      } else {
        replace(list[index], change.value);
      }
    }
  }

  void bad_index(const Table& over, const Entry* below, const std::string& message,
                 const std::string& help) {
    for (const Entry& change : over.entries) bad_index_entry(change, below, message, help);
  }

  void bad_index_entry(const Entry& change, const Entry* below, std::string message,
                       std::string help) {
    Diagnostic diagnostic;
    diagnostic.code = code::bad_index;
    diagnostic.message = std::move(message);
    diagnostic.primary.span = change.key_span;
    if (below != nullptr) diagnostic.secondary.push_back({below->key_span, "the list"});
    diagnostic.helps.push_back(std::move(help));
    diagnostics_.add(std::move(diagnostic));
  }

  void which_rule(const Entry& below, const Entry& entry) {
    const Array& list = *below.value.array();
    Diagnostic diagnostic;
    diagnostic.code = code::bad_index;
    diagnostic.message = "there are " + std::to_string(list.size()) +
                         " [[quantizer]] rules, and no `name` that would replace them";
    diagnostic.primary.span = entry.key_span;
    diagnostic.secondary.push_back({below.key_span, "the rules"});
    const Table& over = *entry.value.table();
    const std::string key = over.entries.empty() ? "KEY" : over.entries.front().key;
    diagnostic.helps.push_back("name the rule by its number, the first is 0: quantizer.0." + key);
    diagnostics_.add(std::move(diagnostic));
  }

  Diagnostics& diagnostics_;
};

}  // namespace

void merge(Table& base, const Table& over, MergeLevel level, Diagnostics& diagnostics) {
  Merger(diagnostics).merge(base, over, level);
}

bool is_index_table(const Value& value) {
  const Table* table = value.table();
  return table != nullptr && !table->entries.empty() &&
         std::all_of(table->entries.begin(), table->entries.end(),
                     [](const Entry& entry) { return is_number(entry.key); });
}

}  // namespace qhost::config
