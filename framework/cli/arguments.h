/// cli/arguments.h: strict parsing of a command's arguments with Boost.Program_options.
///
/// Names are never guessed from a prefix, an unknown one is answered with its nearest, and an
/// option's value is never another option.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace qhost::cli {

/// The options and positional arguments that a command declares.
class ArgumentSpec {
 public:
  ArgumentSpec();
  /// --name
  ArgumentSpec& flag(const std::string& name, const std::string& help);
  /// --name VALUE, or for "name,n" -n VALUE as well; `repeated` may be given several times.
  ArgumentSpec& value(const std::string& name, const std::string& help, bool repeated = false);
  /// Any number of arguments without dashes; at least `minimum`, at most `maximum`.
  ArgumentSpec& positional(const std::string& what, int minimum, int maximum);

  std::string help_text() const;

 private:
  friend class Arguments;
  boost::program_options::options_description options_;
  std::vector<std::string> names_, valued_;
  std::string what_ = "argument";
  int minimum_ = 0, maximum_ = 0;
};

class Arguments {
 public:
  /// Throws Error (configuration) that begins with `command`.
  static Arguments parse(const std::string& command, const ArgumentSpec& spec,
                         const std::vector<std::string>& arguments);

  bool flag(const std::string& name) const { return values_.count(name) != 0; }
  /// "" when not given.
  std::string value(const std::string& name) const;
  std::vector<std::string> values(const std::string& name) const;
  /// A number from 1 to `most`, `fallback` when not given. Throws Error (configuration).
  int number(const std::string& name, int fallback, int most) const;
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  boost::program_options::variables_map values_;
  std::vector<std::string> positional_;
};

}  // namespace qhost::cli
