#include "qhost/error.h"

#include <utility>

namespace qhost {

Error::Error(ErrorKind kind, const std::string& message)
    : std::runtime_error(message), kind_(kind) {}
Error::~Error() = default;

OptionError::OptionError(std::string option, const std::string& message)
    : Error(ErrorKind::configuration, message), option_(std::move(option)) {}
OptionError::~OptionError() = default;

}  // namespace qhost
