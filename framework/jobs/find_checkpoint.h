/// jobs/find_checkpoint.h: the checkpoint of a run that a name stands for.
#pragma once

#include <string>
#include <vector>

#include "runs/checkpoint.h"
#include "runs/run_directory.h"

namespace qhost::jobs {

/// `which` is selected (the best on the validation set where there is one, else the last), last,
/// best, or a step's number. Damaged checkpoints that are passed over are named in `complaints`.
/// Throws Error: configuration when there is none of that name, storage when it is damaged.
runs::LoadedCheckpoint find_checkpoint(const runs::RunDirectory& run, const std::string& which,
                                       std::vector<std::string>& complaints);

}  // namespace qhost::jobs
