#include "jobs/find_checkpoint.h"

#include "qhost/error.h"
#include "runs/checkpoint_name.h"

namespace qhost::jobs {

runs::LoadedCheckpoint find_checkpoint(const runs::RunDirectory& run, const std::string& which,
                                       std::vector<std::string>& complaints) {
  const auto none = [&](const std::string& what, const std::string& help) {
    return Error(ErrorKind::configuration, run.path().string() + " has no " + what, help);
  };
  if (which == "best" || which == "selected") {
    if (auto best = runs::load_best(run.checkpoints())) return std::move(*best);
    if (which == "best") {
      throw none("best checkpoint", "one is kept where data.validation is set; --checkpoint last");
    }
  }
  if (which == "last" || which == "selected") {
    if (auto last = runs::load_newest(run.checkpoints(), complaints)) return std::move(*last);
    throw none("checkpoint yet", "let it run for an epoch");
  }
  const std::vector<std::int64_t> steps = runs::checkpoint_steps(run.checkpoints());
  std::string list;
  for (const std::int64_t step : steps) {
    if (std::to_string(step) == which) {
      return runs::load_checkpoint(run.checkpoints() /
                                   runs::checkpoint_name(runs::step_prefix, step));
    }
    list += (list.empty() ? "" : ", ") + std::to_string(step);
  }
  throw none("checkpoint `" + which + "`",
             "--checkpoint is selected, last, best or one of the steps " + list);
}

}  // namespace qhost::jobs
