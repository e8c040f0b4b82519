#include "cli/arguments.h"

#include <algorithm>

#include "common/near_match.h"
#include "config/familiar_names.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace po = boost::program_options;

namespace {

/// What `--epochs 3` or `--train.epochs=3` means as KEY=VALUE; "" if it names no key.
std::string setting_of(const std::vector<std::string>& arguments, std::size_t i) {
  const std::size_t equals = arguments[i].find('=');
  const std::string name = arguments[i].substr(2, equals - 2);
  const std::string key = name.find('.') != std::string::npos ? name : config::familiar_key(name);
  if (key.empty()) return "";
  if (equals != std::string::npos) return key + arguments[i].substr(equals);
  const bool has_value = i + 1 < arguments.size() && !arguments[i + 1].starts_with("-");
  return key + "=" + (has_value ? arguments[i + 1] : "VALUE");
}

}  // namespace

ArgumentSpec::ArgumentSpec() : options_("options", 100, 60) {}

ArgumentSpec& ArgumentSpec::flag(const std::string& name, const std::string& help) {
  options_.add_options()(name.c_str(), help.c_str());
  names_.push_back(name);
  return *this;
}

ArgumentSpec& ArgumentSpec::value(const std::string& name, const std::string& help, bool repeated) {
  auto* semantic = po::value<std::vector<std::string>>();
  if (repeated) semantic->composing();
  semantic->value_name("VALUE");
  options_.add_options()(name.c_str(), semantic, help.c_str());
  const std::string long_name = name.substr(0, name.find(','));
  names_.push_back(long_name);
  valued_.push_back(long_name);
  return *this;
}

ArgumentSpec& ArgumentSpec::positional(const std::string& what, int minimum, int maximum) {
  what_ = what;
  minimum_ = minimum;
  maximum_ = maximum;
  return *this;
}

std::string ArgumentSpec::help_text() const {
  std::ostringstream text;
  text << options_;
  return text.str();
}

Arguments Arguments::parse(const std::string& command, const ArgumentSpec& spec,
                           const std::vector<std::string>& arguments) {
  const auto fail = [&](const std::string& message, const std::string& help) {
    return Error(ErrorKind::configuration, "qhost " + command + ": " + message, help);
  };
  const std::string see = "`qhost " + command + " --help` lists the options";

  // Program_options takes the next word as a value whatever it is: check before it does.
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") break;
    if (!arguments[i].starts_with("--")) continue;
    const std::string name = arguments[i].substr(2, arguments[i].find('=') - 2);
    const bool known = std::find(spec.names_.begin(), spec.names_.end(), name) != spec.names_.end();
    if (!known) {
      const auto near = near_matches(name, spec.names_);
      const std::string setting = spec.maximum_ > 1 ? setting_of(arguments, i) : "";
      throw fail("unknown option `--" + name + "`",
                 !setting.empty() ? "a setting is written without dashes: " + setting
                 : near.empty()   ? see
                                  : "did you mean `--" + near.front() + "`?");
    }
    const bool valued =
        std::find(spec.valued_.begin(), spec.valued_.end(), name) != spec.valued_.end();
    if (!valued || arguments[i].find('=') != std::string::npos) continue;
    if (i + 1 == arguments.size() || arguments[i + 1].starts_with("--")) {
      throw fail(
          "option `--" + name + "` needs a value" +
              (i + 1 == arguments.size() ? "" : ", found `" + arguments[i + 1] + "`"),
          "write `--" + name + " VALUE`; a value that begins with `--` as `--" + name + "=VALUE`");
    }
    ++i;
  }

  po::options_description all;
  all.add(spec.options_).add_options()("arguments", po::value<std::vector<std::string>>());
  po::positional_options_description rest;
  rest.add("arguments", -1);
  Arguments result;
  try {
    po::store(
        po::command_line_parser(arguments)
            .options(all)
            .positional(rest)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run(),
        result.values_);
    po::notify(result.values_);
  } catch (const po::unknown_option& error) {
    throw fail("unknown option `" + error.get_option_name() + "`", see);
  } catch (const po::error& error) {
    throw fail(error.what(), see);
  }
  if (result.values_.count("arguments") != 0) {
    result.positional_ = result.values_["arguments"].as<std::vector<std::string>>();
  }
  const int count = static_cast<int>(result.positional_.size());
  if (count < spec.minimum_) throw fail("no " + spec.what_ + " was given", see);
  if (count > spec.maximum_) {
    throw fail(
        "unexpected argument `" + result.positional_[static_cast<std::size_t>(spec.maximum_)] + "`",
        see);
  }
  return result;
}

std::string Arguments::value(const std::string& name) const {
  const auto all = values(name);
  return all.empty() ? "" : all.back();
}

std::vector<std::string> Arguments::values(const std::string& name) const {
  if (values_.count(name) == 0) return {};
  return values_[name].as<std::vector<std::string>>();
}

int Arguments::number(const std::string& name, int fallback, int most) const {
  const std::string text = value(name);
  if (text.empty()) return fallback;
  const bool digits = text.size() <= 7 && text.find_first_not_of("0123456789") == std::string::npos;
  const int given = digits ? std::stoi(text) : 0;
  if (given >= 1 && given <= most) return given;
  throw Error(ErrorKind::configuration,
              "--" + name + " " + text + " is not a number from 1 to " + std::to_string(most),
              "leave --" + name + " out for " + std::to_string(fallback));
}

}  // namespace qhost::cli
