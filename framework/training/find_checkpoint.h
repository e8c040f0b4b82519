/// training/find_checkpoint.h: the checkpoint of a run that a name stands for.
#pragma once

#include <string>
#include <vector>

#include "storage/checkpoint.h"
#include "storage/run_directory.h"

namespace qhost::training {

/// `which` is selected (the best on the validation set where there is one, else the last), last,
/// best, or a step's number. Damaged checkpoints that are passed over are named in `complaints`.
/// Throws Error: configuration when there is none of that name, storage when it is damaged.
storage::LoadedCheckpoint find_checkpoint(const storage::RunDirectory& run,
                                          const std::string& which,
                                          std::vector<std::string>& complaints);

}  // namespace qhost::training
