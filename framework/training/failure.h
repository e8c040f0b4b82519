/// training/failure.h: what ended a run before its time, as words, as an exit code, and as what its
/// result.json says.
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "qhost/error.h"
#include "runs/run_directory.h"
#include "training/progress.h"

namespace qhost::training {

struct Failure {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  ///< as Error::what()
};
/// Of an exception of any type: its own words, behind "internal error: " where it is no Error.
Failure failure_of(const std::exception_ptr& exception);

/// What a run ended with whose directory exists: the kind and the message of its cause. `result` is
/// its result.json: {status: "failed" or "diverged", error, exit_code, run_dir, ...}.
class RunFailed : public Error {
 public:
  RunFailed(const Failure& failure, nlohmann::json result)
      : Error(failure.kind, failure.message), result_(std::move(result)) {}
  const nlohmann::json& result() const { return result_; }

 private:
  nlohmann::json result_;
};

/// To be called in a catch block: adds status, `error` and `exit_code` to `result`, writes
/// result.json where it fits, and throws RunFailed. What stands in the way of writing is a note:
/// the cause matters more.
[[noreturn]] void fail_run(const runs::RunDirectory& run, nlohmann::json result,
                           Progress& progress);

}  // namespace qhost::training
