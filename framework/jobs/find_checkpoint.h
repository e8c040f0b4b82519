/// jobs/find_checkpoint.h: finds a checkpoint of a run by name.
#pragma once

#include <string>
#include <vector>

#include "runs/checkpoint.h"
#include "runs/run_directory.h"

namespace qhost::jobs {

/// `which` is selected (the best on the validation set if there is one, else the last), last, best,
/// or the number of a step. Damaged checkpoints that are skipped are listed in `complaints`. Throws
/// Error: configuration if there is no such checkpoint, storage if it is damaged.
runs::LoadedCheckpoint find_checkpoint(const runs::RunDirectory& run, const std::string& which,
                                       std::vector<std::string>& complaints);

}  // namespace qhost::jobs
