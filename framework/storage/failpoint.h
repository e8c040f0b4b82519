/// storage/failpoint.h: named points at which a test makes the process die.
#pragma once

#include <string_view>

namespace qhost::storage {

/// Kills this process with SIGKILL if the environment variable QHOST_FAILPOINT is `name`, or
/// `name:N` and this is the N-th call (from 1) with that name. Otherwise returns.
///
/// Names. A file that is written with the failpoint name P (atomic_file.h; "file" by default):
///   P.temporary      the temporary file exists and is empty
///   P.half           half of the first piece is written
///   P.before-rename  all bytes are written and synced, the old file is still in place
///   P.after-rename   the new file is in place, its folder not yet synced
/// A checkpoint (checkpoint.h), with P = "checkpoint" or "best":
///   P.temporary      the temporary folder exists and is empty
///   P.half           half of the first piece of state.safetensors is written
///   P.tensors        state.safetensors is complete, state.json missing
///   P.state          state.json is complete, manifest.json missing
///   P.before-rename  the temporary folder is complete and synced
///   P.after-rename   the folder has its name
///   best-link.before-rename, best-link.after-rename   around the change of the link `best`
///   best.after-link  the link points at the new folder, the old one still exists
///   checkpoint.before-removal, checkpoint.removal   before and during the removal of an old folder
/// metrics.jsonl (json_lines.h): metrics.half (half of a line is written), metrics.after-line,
///   metrics.before-cut, metrics.after-cut
/// A run directory (run_directory.h): run.temporary, run.after-rename, latest.before-rename,
///   latest.after-rename
/// Other folders define further names.
void failpoint(std::string_view name);

}  // namespace qhost::storage
