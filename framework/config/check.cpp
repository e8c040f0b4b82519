#include "config/check.h"

#include <algorithm>
#include <optional>

#include "common/near_match.h"
#include "common/utf8.h"
#include "config/diagnostic_codes.h"
#include "config/familiar_names.h"
#include "config/renamed.h"

namespace qhost::config {
namespace {

OptionType element_type(OptionType list) {
  switch (list) {
    case OptionType::integer_list:
      return OptionType::integer;
    case OptionType::real_list:
      return OptionType::real;
    case OptionType::string_list:
      return OptionType::string;
    default:
      return list;
  }
}

bool is_list(OptionType type) {
  return element_type(type) != type;
}

/// A single value of the wanted type. An integer is accepted as a real number, and a boolean as the
/// choice "true" or "false".
std::optional<OptionValue> scalar(const Value& value, OptionType wanted,
                                  const std::vector<std::string>& choices = {}) {
  if (const auto* v = std::get_if<bool>(&value.data)) {
    if (wanted == OptionType::boolean) return *v;
    const std::string word = *v ? "true" : "false";
    const bool chosen = std::find(choices.begin(), choices.end(), word) != choices.end();
    if (wanted == OptionType::string && chosen) return word;
  } else if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
    if (wanted == OptionType::integer) return *integer;
    if (wanted == OptionType::real) return static_cast<double>(*integer);
  } else if (const auto* number = std::get_if<double>(&value.data)) {
    if (wanted == OptionType::real) return *number;
  } else if (const auto* string = value.string()) {
    if (wanted == OptionType::string) return *string;
  }
  return std::nullopt;
}

void append(OptionValue& list, const OptionValue& element) {
  if (auto* integers = std::get_if<std::vector<std::int64_t>>(&list)) {
    integers->push_back(std::get<std::int64_t>(element));
  } else if (auto* reals = std::get_if<std::vector<double>>(&list)) {
    reals->push_back(std::get<double>(element));
  } else {
    std::get<std::vector<std::string>>(list).push_back(std::get<std::string>(element));
  }
}

OptionValue empty_list(OptionType type) {
  if (type == OptionType::integer_list) return std::vector<std::int64_t>();
  if (type == OptionType::real_list) return std::vector<double>();
  return std::vector<std::string>();
}

std::string shortened(const std::string& text) {
  constexpr std::size_t limit = 60;
  if (count_code_points(text) <= limit) return text;
  return text.substr(0, code_point_offset(text, limit)) + "...";
}

std::string meaning(const Option& option) {
  std::string text = quote(option.name()) + ": " + option.help();
  if (!option.paper().empty()) text += " (" + option.paper() + ')';
  return text;
}

class TableChecker {
 public:
  TableChecker(const TableCheck& check, const KeyDirectory& directory, Diagnostics& diagnostics)
      : check_(check), directory_(directory), diagnostics_(diagnostics) {}

  Options run() {
    if (check_.given != nullptr) {
      for (const Entry& entry : check_.given->entries) check_entry(entry);
    }
    for (const auto* options : check_.declared) {
      for (const Option& option : *options) fill(option);
    }
    return std::move(options_);
  }

 private:
  std::string path_of(const std::string& key) const {
    return check_.path.empty() ? key : check_.path + '.' + key;
  }

  const Option* find(const std::string& key) const {
    for (const auto* options : check_.declared) {
      for (const Option& option : *options) {
        if (option.name() == key) return &option;
      }
    }
    return nullptr;
  }

  void check_entry(const Entry& entry) {
    const auto& others = check_.other_keys;
    if (std::find(others.begin(), others.end(), entry.key) != others.end()) return;
    const Option* option = find(entry.key);
    if (option == nullptr) {
      std::vector<std::string> valid = others;
      for (const auto* options : check_.declared) {
        for (const Option& known : *options) valid.push_back(known.name());
      }
      diagnostics_.add(unknown_key(entry, check_.title, check_.component, valid, directory_));
      return;
    }
    if (const auto value = convert(entry.value, *option)) {
      options_.set(option->name(), *value);
    } else if (check_.failed != nullptr) {
      check_.failed->insert(path_of(entry.key));
    }
  }

  std::optional<OptionValue> convert(const Value& value, const Option& option) {
    if (!is_list(option.type())) {
      const auto converted = scalar(value, option.type(), option.choices());
      if (!converted) {
        report_type(value, option);
        return std::nullopt;
      }
      if (!in_range(*converted, value, value, option)) return std::nullopt;
      return converted;
    }
    if (value.array() == nullptr) {
      report_type(value, option);
      return std::nullopt;
    }
    OptionValue list = empty_list(option.type());
    bool good = true;
    for (const Value& element : *value.array()) {
      const auto converted = scalar(element, element_type(option.type()));
      if (!converted) {
        Diagnostic diagnostic =
            wrong_type(path_of(option.name()), with_article(option.type()), element);
        diagnostic.message += " in it";
        finish_type(std::move(diagnostic), value, option);
        good = false;
        continue;
      }
      OptionValue one = empty_list(option.type());
      append(one, *converted);
      if (in_range(one, element, value, option)) {
        append(list, *converted);
      } else {
        good = false;
      }
    }
    return good ? std::optional<OptionValue>(std::move(list)) : std::nullopt;
  }

  void report_type(const Value& value, const Option& option) {
    finish_type(wrong_type(path_of(option.name()), with_article(option.type()), value), value,
                option);
  }

  void finish_type(Diagnostic diagnostic, const Value& value, const Option& option) {
    if (const auto& standard = option.default_value()) {
      const std::string shown = qhost::to_string(*standard);
      if (shown != "\"\"" && shown != "[]") {
        diagnostic.helps.push_back("for example " + option.name() + " = " + shown);
      }
    }
    if (value.string() != nullptr && option.type() != OptionType::string_list &&
        !is_list(option.type())) {
      diagnostic.helps.push_back("numbers and booleans are written without quotes");
    } else if (value.array() == nullptr && is_list(option.type())) {
      diagnostic.helps.push_back("a list is written in brackets: " + option.name() + " = [" +
                                 shortened(value_text(value)) + ']');
    }
    diagnostic.notes.push_back(meaning(option));
    add_overridden(diagnostic, value);
    diagnostics_.add(std::move(diagnostic));
  }

  /// Checks the range of `value`, which is `whole` or one element of it; `whole` is the key's
  /// value.
  bool in_range(const OptionValue& converted, const Value& value, const Value& whole,
                const Option& option) {
    // The message shows an integer as it was written, not as the real number that it becomes.
    const auto* integer = std::get_if<std::int64_t>(&value.data);
    const bool list = is_list(option.type());
    const std::string why =
        option.why_invalid(integer == nullptr ? converted
                           : list             ? OptionValue(std::vector<std::int64_t>{*integer})
                                              : OptionValue(*integer));
    if (why.empty()) return true;
    Diagnostic diagnostic;
    diagnostic.primary.span = value.span;
    diagnostic.message = quote(path_of(option.name())) + ": " + why;
    if (option.choices().empty()) {
      diagnostic.code = code::out_of_range;
      const std::string range = option.range_text();
      diagnostic.helps.push_back(range.empty() ? "write a finite number" : "choose " + range);
    } else {
      diagnostic.code = code::unknown_choice;
      auto near = near_matches(*value.string(), option.choices());
      const std::string familiar = familiar_choice(*value.string());
      const auto& choices = option.choices();
      if (std::find(choices.begin(), choices.end(), familiar) != choices.end()) near = {familiar};
      diagnostic.helps.push_back(near.empty() ? "choose one of " + quote_list(option.choices())
                                              : "did you mean " + quote(near.front()) + '?');
    }
    diagnostic.notes.push_back(meaning(option));
    add_overridden(diagnostic, whole);
    diagnostics_.add(std::move(diagnostic));
    return false;
  }

  /// Fills in the default of a key that is missing or wrong: one wrong value must not hide the
  /// errors of other keys.
  void fill(const Option& option) {
    if (options_.has(option.name())) return;
    if (option.default_value()) {
      OptionValue value = *option.default_value();
      if (is_list(option.type()) && value.index() != static_cast<std::size_t>(option.type())) {
        value = empty_list(option.type());
      }
      options_.set(option.name(), std::move(value));
      return;
    }
    if (!check_.complete) return;
    if (check_.given != nullptr && check_.given->find(option.name()) != nullptr) return;
    Diagnostic diagnostic;
    diagnostic.code = code::missing_key;
    diagnostic.message = check_.title;
    if (!check_.component.empty()) diagnostic.message += " (" + check_.component + ')';
    diagnostic.message += " needs " + quote(option.name()) + ": " + option.help();
    diagnostic.primary.span = check_.where;
    diagnostic.helps.push_back("add " + option.name() + " = ... (" +
                               qhost::to_string(option.type()) + ')');
    diagnostics_.add(std::move(diagnostic));
  }

  const TableCheck& check_;
  const KeyDirectory& directory_;
  Diagnostics& diagnostics_;
  Options options_;
};

}  // namespace

void KeyDirectory::add(const std::string& title, const std::vector<Option>& options,
                       const std::string& component) {
  for (const Option& option : options) keys_.push_back({option.name(), title, component});
}

void KeyDirectory::add_key(const std::string& title, const std::string& key) {
  keys_.push_back({key, title, ""});
}

std::vector<std::string> KeyDirectory::homes(std::string_view key,
                                             const std::string& except) const {
  std::vector<std::string> titles;
  for (const Known& known : keys_) {
    const bool repeated = std::find(titles.begin(), titles.end(), known.title) != titles.end();
    if (known.key == key && known.title != except && !repeated) titles.push_back(known.title);
  }
  return titles;
}

std::vector<std::string> KeyDirectory::components(std::string_view key,
                                                  const std::string& title) const {
  std::vector<std::string> names;
  for (const Known& known : keys_) {
    if (known.key == key && known.title == title && !known.component.empty()) {
      names.push_back(known.component);
    }
  }
  return names;
}

Options check_table(const TableCheck& check, const KeyDirectory& directory,
                    Diagnostics& diagnostics) {
  return TableChecker(check, directory, diagnostics).run();
}

Diagnostic unknown_key(const Entry& entry, const std::string& title, const std::string& component,
                       const std::vector<std::string>& valid, const KeyDirectory& directory) {
  Diagnostic diagnostic;
  diagnostic.code = code::unknown_key;
  diagnostic.message = "unknown key " + quote(entry.key);
  diagnostic.message += title.empty() ? " outside of all tables" : " in " + title;
  if (!component.empty()) diagnostic.message += " (" + component + ')';
  diagnostic.primary.span = entry.key_span;
  const auto near = near_matches(entry.key, valid);
  const auto homes = directory.homes(entry.key, title);
  const auto others = directory.components(entry.key, title);
  if (const std::string present = present_name(title, entry.key); !present.empty()) {
    diagnostic.helps.push_back("its name is " + quote(present) + " now");
  } else if (!homes.empty()) {
    std::string list;
    for (const auto& home : homes) list += (list.empty() ? "" : " or ") + home;
    diagnostic.helps.push_back(quote(entry.key) + " belongs to " + list);
  }
  if (!others.empty()) {
    diagnostic.helps.push_back(quote(entry.key) + " is an option of " + quote_list(others));
  }
  if (diagnostic.helps.empty() && !near.empty()) {
    std::string names;
    for (const auto& name : near) names += (names.empty() ? "" : " or ") + quote(name);
    diagnostic.helps.push_back("did you mean " + names + '?');
  }
  if (const std::string key = familiar_key(entry.key); diagnostic.helps.empty() && !key.empty()) {
    diagnostic.helps.push_back("it is called " + quote(key) + " here");
  }
  if (diagnostic.helps.empty()) {
    diagnostic.helps.push_back("take the key out or choose a valid one");
  }
  std::string keys;
  for (const auto& key : valid) keys += (keys.empty() ? "" : ", ") + key;
  diagnostic.notes.push_back("valid keys: " + keys);
  return diagnostic;
}

Diagnostic wrong_type(const std::string& path, const std::string& expected, const Value& value) {
  Diagnostic diagnostic;
  diagnostic.code = code::wrong_type;
  diagnostic.message = quote(path) + ": expected " + expected + ", found " + kind_name(value) +
                       ' ' + shortened(value_text(value));
  diagnostic.primary.span = value.span;
  return diagnostic;
}

void add_overridden(Diagnostic& diagnostic, const Value& value) {
  for (const Span& span : value.overridden) {
    diagnostic.secondary.push_back({span, "overrides this"});
  }
}

}  // namespace qhost::config
