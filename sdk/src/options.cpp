#include "qhost/options.h"

#include <charconv>
#include <cmath>
#include <sstream>

#include "qhost/error.h"

namespace qhost {
namespace {

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end.ptr);
  // TOML distinguishes a float from an integer by the point or exponent.
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

/// Prints bounds as a person would write them: 8, not 8.0.
std::string bound_text(double value) {
  std::string text = number_text(value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      static const char* hex = "0123456789ABCDEF";
      text += "\\u00";
      text += hex[byte >> 4];
      text += hex[byte & 15];
    } else {
      text += c;
    }
  }
  return text + '"';
}

struct Printer {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const { return number_text(v); }
  std::string operator()(const std::string& v) const { return quoted(v); }
  template <class T>
  std::string operator()(const std::vector<T>& v) const {
    std::string text = "[";
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (i != 0) text += ", ";
      text += (*this)(v[i]);
    }
    return text + "]";
  }
};

/// Converts integers to real numbers, also in lists, and a boolean to the choice of its name. Any
/// other value keeps its type.
OptionValue converted(const OptionValue& value, const Option& option) {
  const OptionType type = option.type();
  if (const auto* b = std::get_if<bool>(&value); b != nullptr && type == OptionType::string) {
    const std::string word = to_string(value);
    for (const std::string& choice : option.choices()) {
      if (choice == word) return word;
    }
  }
  if (type == OptionType::real) {
    if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  }
  if (type == OptionType::real_list) {
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
      return std::vector<double>(list->begin(), list->end());
    }
  }
  return value;
}

}  // namespace

const char* to_string(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "boolean";
    case OptionType::integer:
      return "integer";
    case OptionType::real:
      return "number";
    case OptionType::string:
      return "string";
    case OptionType::integer_list:
      return "list of integers";
    case OptionType::real_list:
      return "list of numbers";
    case OptionType::string_list:
      return "list of strings";
  }
  return "?";
}

const char* with_article(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "a boolean (true or false)";
    case OptionType::integer:
      return "an integer";
    case OptionType::real:
      return "a number";
    case OptionType::string:
      return "a string";
    case OptionType::integer_list:
      return "a list of integers";
    case OptionType::real_list:
      return "a list of numbers";
    case OptionType::string_list:
      return "a list of strings";
  }
  return "a value";
}

std::string to_string(const OptionValue& value) {
  return std::visit(Printer{}, value);
}

Option::Option(std::string name, OptionType type, std::optional<OptionValue> value,
               std::string help)
    : name_(std::move(name)), type_(type), default_(std::move(value)), help_(std::move(help)) {}

Option Option::boolean(std::string name, bool value, std::string help) {
  return Option(std::move(name), OptionType::boolean, OptionValue(value), std::move(help));
}
Option Option::integer(std::string name, std::int64_t value, std::string help) {
  return Option(std::move(name), OptionType::integer, OptionValue(value), std::move(help));
}
Option Option::real(std::string name, double value, std::string help) {
  return Option(std::move(name), OptionType::real, OptionValue(value), std::move(help));
}
Option Option::string(std::string name, std::string value, std::string help) {
  return Option(std::move(name), OptionType::string, OptionValue(std::move(value)),
                std::move(help));
}
Option Option::integers(std::string name, std::vector<std::int64_t> value, std::string help) {
  return Option(std::move(name), OptionType::integer_list, OptionValue(std::move(value)),
                std::move(help));
}
Option Option::reals(std::string name, std::vector<double> value, std::string help) {
  return Option(std::move(name), OptionType::real_list, OptionValue(std::move(value)),
                std::move(help));
}
Option Option::strings(std::string name, std::vector<std::string> value, std::string help) {
  return Option(std::move(name), OptionType::string_list, OptionValue(std::move(value)),
                std::move(help));
}
Option Option::required(std::string name, OptionType type, std::string help) {
  return Option(std::move(name), type, std::nullopt, std::move(help));
}

Option Option::at_least(double bound) && {
  minimum_ = bound;
  minimum_exclusive_ = false;
  return std::move(*this);
}
Option Option::at_most(double bound) && {
  maximum_ = bound;
  maximum_exclusive_ = false;
  return std::move(*this);
}
Option Option::above(double bound) && {
  minimum_ = bound;
  minimum_exclusive_ = true;
  return std::move(*this);
}
Option Option::below(double bound) && {
  maximum_ = bound;
  maximum_exclusive_ = true;
  return std::move(*this);
}
Option Option::one_of(std::vector<std::string> choices) && {
  choices_ = std::move(choices);
  return std::move(*this);
}
Option Option::from_paper(std::string reference) && {
  paper_ = std::move(reference);
  return std::move(*this);
}
Option Option::not_part_of_result() && {
  part_of_result_ = false;
  return std::move(*this);
}

std::string Option::range_text() const {
  if (!choices_.empty()) {
    std::string text = "one of ";
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      text += (i == 0 ? "" : ", ") + quoted(choices_[i]);
    }
    return text;
  }
  std::string text;
  if (minimum_) text += bound_text(*minimum_) + (minimum_exclusive_ ? " < " : " <= ");
  if (minimum_ || maximum_) text += name_;
  if (maximum_) text += (maximum_exclusive_ ? " < " : " <= ") + bound_text(*maximum_);
  return text;
}

std::string Option::why_invalid(const OptionValue& given) const {
  const OptionValue value = converted(given, *this);
  if (value.index() != static_cast<std::size_t>(type_)) {
    // An empty TOML array has no element type, so it fits every list option.
    const bool empty_list = (std::holds_alternative<std::vector<std::int64_t>>(value) &&
                             std::get<std::vector<std::int64_t>>(value).empty()) ||
                            (std::holds_alternative<std::vector<std::string>>(value) &&
                             std::get<std::vector<std::string>>(value).empty()) ||
                            (std::holds_alternative<std::vector<double>>(value) &&
                             std::get<std::vector<double>>(value).empty());
    if (empty_list && type_ >= OptionType::integer_list) return "";
    return std::string("expected ") + with_article(type_) + ", found " +
           to_string(static_cast<OptionType>(given.index())) + " " + to_string(given);
  }
  const auto check_number = [&](double number, const std::string& text) -> std::string {
    if (std::isnan(number)) return "nan is not a number";
    if (std::isinf(number)) return text + " is not finite";
    if (minimum_ && (minimum_exclusive_ ? number <= *minimum_ : number < *minimum_)) {
      return text + (minimum_exclusive_ ? " is not above " : " is below the minimum ") +
             bound_text(*minimum_);
    }
    if (maximum_ && (maximum_exclusive_ ? number >= *maximum_ : number > *maximum_)) {
      return text + (maximum_exclusive_ ? " is not below " : " is above the maximum ") +
             bound_text(*maximum_);
    }
    return "";
  };
  const auto check_string = [&](const std::string& text) -> std::string {
    if (choices_.empty()) return "";
    for (const auto& choice : choices_) {
      if (choice == text) return "";
    }
    return quoted(text) + " is not " + range_text();
  };
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    return check_number(static_cast<double>(*i), to_string(value));
  }
  if (const auto* d = std::get_if<double>(&value)) return check_number(*d, to_string(given));
  if (const auto* s = std::get_if<std::string>(&value)) return check_string(*s);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    for (const auto i : *list) {
      auto why = check_number(static_cast<double>(i), std::to_string(i));
      if (!why.empty()) return why;
    }
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    for (const double d : *list) {
      auto why = check_number(d, number_text(d));
      if (!why.empty()) return why;
    }
  }
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    for (const auto& s : *list) {
      auto why = check_string(s);
      if (!why.empty()) return why;
    }
  }
  return "";
}

Options Options::from(const std::vector<Option>& declared,
                      const std::map<std::string, OptionValue>& given) {
  Options options;
  for (const auto& [name, value] : given) {
    bool known = false;
    for (const auto& option : declared) known = known || option.name() == name;
    if (!known) {
      std::string names;
      for (const auto& option : declared) names += (names.empty() ? "" : ", ") + option.name();
      throw OptionError(name, "unknown option; the valid ones are: " + names);
    }
  }
  for (const auto& option : declared) {
    const auto found = given.find(option.name());
    if (found == given.end()) {
      if (!option.default_value()) throw OptionError(option.name(), "is required");
      options.set(option.name(), *option.default_value());
      continue;
    }
    const std::string why = option.why_invalid(found->second);
    if (!why.empty()) throw OptionError(option.name(), why);
    OptionValue value = converted(found->second, option);
    if (value.index() != static_cast<std::size_t>(option.type())) {  // an empty list
      if (option.type() == OptionType::integer_list) value = std::vector<std::int64_t>();
      if (option.type() == OptionType::real_list) value = std::vector<double>();
      if (option.type() == OptionType::string_list) value = std::vector<std::string>();
    }
    options.set(option.name(), std::move(value));
  }
  return options;
}

namespace {
template <class T>
const T& get(const std::map<std::string, OptionValue>& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) {
    throw Error(ErrorKind::internal,
                "a component reads option \"" + name + "\", which it did not declare");
  }
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw Error(ErrorKind::internal, "a component reads option \"" + name +
                                         "\" as another type than the declared " +
                                         to_string(static_cast<OptionType>(found->second.index())));
  }
  return *value;
}
}  // namespace

bool Options::boolean(const std::string& name) const {
  return get<bool>(values_, name);
}
std::int64_t Options::integer(const std::string& name) const {
  return get<std::int64_t>(values_, name);
}
double Options::real(const std::string& name) const {
  return get<double>(values_, name);
}
const std::string& Options::string(const std::string& name) const {
  return get<std::string>(values_, name);
}
const std::vector<std::int64_t>& Options::integers(const std::string& name) const {
  return get<std::vector<std::int64_t>>(values_, name);
}
const std::vector<double>& Options::reals(const std::string& name) const {
  return get<std::vector<double>>(values_, name);
}
const std::vector<std::string>& Options::strings(const std::string& name) const {
  return get<std::vector<std::string>>(values_, name);
}

}  // namespace qhost
