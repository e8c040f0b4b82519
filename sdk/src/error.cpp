#include "qhost/error.h"

#include <utility>

namespace qhost {

Error::Error(ErrorKind kind, std::string message, std::string help)
    : std::runtime_error(message), kind_(kind), message_(std::move(message)), text_(message_) {
  if (!help.empty()) add_help(help);
}
Error::~Error() = default;

Error Error::with_message(std::string message) const {
  Error error(kind_, std::move(message));
  for (const std::string& help : helps_) error.add_help(help);
  return error;
}

void Error::add_help(const std::string& help) {
  helps_.push_back(help);
  text_ += "\nhelp: " + help;
}

OptionError::OptionError(std::string option, std::string message, std::string help)
    : Error(ErrorKind::configuration, std::move(message), std::move(help)),
      option_(std::move(option)) {}
OptionError::~OptionError() = default;

}  // namespace qhost
