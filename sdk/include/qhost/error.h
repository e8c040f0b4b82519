/// qhost/error.h: the exceptions of qhost, each with the exit code that a shell sees.
#pragma once

#include <stdexcept>
#include <string>

#include "qhost/export.h"

namespace qhost {

/// What failed, in the terms of a caller's script. The number is the exit code of `qhost`.
enum class ErrorKind {
  internal = 1,       ///< a defect of qhost or of a plugin
  configuration = 2,  ///< command line or experiment file; an unknown component too
  plugin = 3,         ///< a plugin was found and refused, or broke its word while it ran
  data = 4,           ///< a data set is missing or malformed
  diverged = 5,       ///< the loss is not finite
  storage = 6,        ///< a file could not be written or read back
  verification = 7,   ///< packed and emulated results differ
  interrupted = 75,   ///< stopped by a signal, resumable (EX_TEMPFAIL)
};

/// The base of all exceptions that qhost throws. what() is one or more complete lines for a
/// person: what is wrong, where, the values on both sides, and, after "help: ", what to do.
class QHOST_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message);
  ~Error() override;
  ErrorKind kind() const noexcept { return kind_; }
  int exit_code() const noexcept { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

/// Thrown by a component whose options are each valid but do not fit together or do not fit the
/// data ("depth 21 is not 6n+2"). The host points at the option's line in the experiment file.
class QHOST_API OptionError : public Error {
 public:
  /// `option` is the option's name; `message` a sentence without the name's location.
  OptionError(std::string option, const std::string& message);
  ~OptionError() override;
  const std::string& option() const noexcept { return option_; }

 private:
  std::string option_;
};

}  // namespace qhost
