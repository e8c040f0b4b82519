/// qhost/error.h: the exceptions of qhost, each with the exit code that a shell sees.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

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

/// The base of all exceptions that qhost throws. An error has two parts, so that the host can put
/// each in its place: the message says what is wrong, and the helps say what to do about it.
///
///     throw Error(ErrorKind::data, "labels.bin has 9 bytes, not 10",
///                 "unpack the archive again");
class QHOST_API Error : public std::runtime_error {
 public:
  /// `message` is one or more complete lines: what is wrong, where, the values on both sides.
  /// `help` is what the user can do, "" for nothing. Neither ends with a line break or full stop.
  Error(ErrorKind kind, std::string message, std::string help = "");
  ~Error() override;
  ErrorKind kind() const noexcept { return kind_; }
  int exit_code() const noexcept { return static_cast<int>(kind_); }
  const std::string& message() const noexcept { return message_; }
  const std::vector<std::string>& helps() const noexcept { return helps_; }
  /// The same kind and helps with another message, for a caller that knows more.
  Error with_message(std::string message) const;
  /// Adds something else that the user can do.
  void add_help(const std::string& help);
  /// The message, then a line "help: ..." for each help.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  ErrorKind kind_;
  std::string message_;
  std::vector<std::string> helps_;
  std::string text_;
};

/// Thrown by a component whose options are each valid but do not fit together or do not fit the
/// data ("depth 21 is not 6n+2"). The host points at the option's line in the experiment file.
class QHOST_API OptionError : public Error {
 public:
  /// `option` is the option's name; `message` a sentence without the name's location; `help` as in
  /// Error.
  OptionError(std::string option, std::string message, std::string help = "");
  ~OptionError() override;
  const std::string& option() const noexcept { return option_; }

 private:
  std::string option_;
};

}  // namespace qhost
