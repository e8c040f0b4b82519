#include "conformance/variants.h"

#include "qhost/error.h"

namespace qhost::conformance {
namespace {

/// Values for options without a default.
OptionValue filler(const Option& option) {
  switch (option.type()) {
    case OptionType::boolean:
      return false;
    case OptionType::integer:
      return std::int64_t{1};
    case OptionType::real:
      return 1.0;
    case OptionType::string:
      return option.choices().empty() ? std::string("x") : option.choices().front();
    case OptionType::integer_list:
      return std::vector<std::int64_t>{};
    case OptionType::real_list:
      return std::vector<double>{};
    case OptionType::string_list:
      return std::vector<std::string>{};
  }
  return false;
}

}  // namespace

std::vector<Variant> variants(const std::vector<Option>& declared, Integers integers) {
  std::map<std::string, OptionValue> base;
  for (const Option& option : declared) {
    if (!option.default_value()) base[option.name()] = filler(option);
  }
  std::vector<Variant> list = {{"defaults", Options::from(declared, base)}};
  const auto add = [&](const Option& option, const OptionValue& value) {
    if (option.default_value() && *option.default_value() == value) return;
    auto given = base;
    given[option.name()] = value;
    list.push_back({option.name() + " = " + to_string(value), Options::from(declared, given)});
  };
  for (const Option& option : declared) {
    if (option.type() == OptionType::string) {
      for (const std::string& choice : option.choices()) add(option, choice);
    } else if (option.type() == OptionType::boolean) {
      add(option, true);
      add(option, false);
    } else if (option.type() == OptionType::integer && integers == Integers::smallest_too) {
      for (std::int64_t count = 1; count <= 8; ++count) {
        if (!option.why_invalid(count).empty()) continue;
        add(option, count);
        break;
      }
    }
  }
  return list;
}

void check_options(const std::vector<Option>& declared, std::vector<Finding>& findings) {
  for (const Option& option : declared) {
    Finding finding{"options", option.name(), ""};
    if (option.help().empty()) finding.failure = "has no line of help";
    if (option.default_value()) {
      const std::string why = option.why_invalid(*option.default_value());
      if (!why.empty()) finding.failure = "its default is refused: " + why;
    }
    if (!option.choices().empty() &&
        option.why_invalid(OptionValue(std::string("no such choice"))).empty()) {
      finding.failure = "takes a value that is none of its choices";
    }
    findings.push_back(std::move(finding));
  }
  Finding unknown{"options", "an unknown one", "is taken"};
  try {
    Options::from(declared, {{"no_such_option", OptionValue(true)}});
  } catch (const OptionError&) {
    unknown.failure.clear();
  } catch (const std::exception& error) {
    unknown.failure = std::string("threw: ") + error.what();
  }
  findings.push_back(std::move(unknown));
}

}  // namespace qhost::conformance
