/// training/failure.h: why a run failed: an error, and the fields of its result.json.
#pragma once

#include <exception>
#include <string>

#include "qhost/error.h"
#include "runs/run_directory.h"
#include "runs/run_result.h"
#include "training/progress.h"

namespace qhost::training {

/// Any exception as an Error. The message of one that is not an Error follows "internal error: ".
Error failure_of(const std::exception_ptr& exception);

/// The error of a run whose directory exists: its cause's, with its result. `result` is
/// its result.json, with the status "failed" or "diverged", `error` and `exit_code`.
class RunFailed : public Error {
 public:
  RunFailed(const Error& cause, runs::RunResult result)
      : Error(cause), result_(std::move(result)) {}
  const runs::RunResult& result() const { return result_; }

 private:
  runs::RunResult result_;
};

/// Call it in a catch block. Adds status, `error` and `exit_code` to `result`, writes result.json
/// if the directory allows it, and throws RunFailed. An error while writing is only a note: the
/// cause is more important.
[[noreturn]] void fail_run(const runs::RunDirectory& run, runs::RunResult result,
                           Progress& progress);

}  // namespace qhost::training
