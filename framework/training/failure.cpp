#include "training/failure.h"

#include <new>

#include "model/exception_text.h"
#include "storage/atomic_file.h"

namespace qhost::training {

Error failure_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorKind::internal, "out of memory", "a smaller train.batch_size needs less"};
  } catch (...) {
    return {ErrorKind::internal, "internal error: " + exception_text()};
  }
}

void fail_run(const runs::RunDirectory& run, runs::RunResult result, Progress& progress) {
  const Error failure = failure_of(std::current_exception());
  result.status = failure.kind() == ErrorKind::diverged ? "diverged" : "failed";
  result.error = failure.what();
  result.exit_code = failure.exit_code();
  try {
    // A message may contain the bytes of a file name.
    const std::string text =
        to_json(result).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    storage::write_file_atomically(run.result(), text + "\n");
    run.point_latest();
  } catch (const Error& error) {
    progress.note(std::string("result.json was not written: ") + error.what());
  }
  throw RunFailed(failure, std::move(result));
}

}  // namespace qhost::training
