/// runs/checkpoint.h: folders of a run from which it continues.
///
///     checkpoints/step-00001234/state.safetensors   tensors
///                               state.json          counters, schedule, offsets
///                               manifest.json       step, sizes, SHA-256; notes such as times
///     checkpoints/best -> best-00001234              the same three files
///
/// A checkpoint is written into a temporary folder, synced, and exists from the rename on. The
/// hashed files hold nothing that depends on the clock: equal training gives equal bytes.
/// The caller holds the run's lock (run_directory.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "storage/safetensors.h"

namespace qhost::runs {

struct LoadedCheckpoint {
  std::int64_t step = 0;
  std::filesystem::path folder;
  storage::File tensors;
  nlohmann::json state;
  nlohmann::json notes;
};

struct CheckpointOptions {
  int keep = 2;  ///< how many stay on disk, at least 2
  /// Kept in the manifest, outside the hashes: times, host.
  nlohmann::json notes = nlohmann::json::object();
};

/// Writes checkpoints/step-<step>, then removes what is older than the newest `keep`, and
/// checkpoints of later steps (a future that this run left when it continued from an earlier one).
/// A failure (disk full) throws Error (storage), removes its temporary folder and leaves every
/// earlier checkpoint as it was. `state` must be an object without non-finite numbers, which JSON
/// cannot hold (Error, internal). Returns the folder.
std::filesystem::path write_checkpoint(const std::filesystem::path& directory, std::int64_t step,
                                       const storage::Tensors& tensors, const nlohmann::json& state,
                                       const CheckpointOptions& options = {});

/// Writes best-<step> and moves the link `best`, then removes the best one before.
std::filesystem::path write_best(const std::filesystem::path& directory, std::int64_t step,
                                 const storage::Tensors& tensors, const nlohmann::json& state,
                                 const nlohmann::json& notes = nlohmann::json::object());

/// The newest checkpoint whose hashes are right. Each bad one that is newer gives one line in
/// `complaints`: its name, why, and which one is used instead. Empty only when there is no
/// checkpoint at all; when there are some and none is sound, throws Error (storage) with all
/// reasons: a run never silently starts anew.
std::optional<LoadedCheckpoint> load_newest(const std::filesystem::path& directory,
                                            std::vector<std::string>& complaints);

/// Verified like the others; throws Error (storage) when damaged. Empty when there is none.
std::optional<LoadedCheckpoint> load_best(const std::filesystem::path& directory);

/// One checkpoint folder. Throws Error (storage) that says which file is wrong and how.
LoadedCheckpoint load_checkpoint(const std::filesystem::path& folder);

/// Steps of the step-* folders, newest first, unverified.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& directory);

/// Removes what an interrupted writer left: temporary folders, and best-* that `best` does not
/// name. Returns how many went.
int sweep_checkpoints(const std::filesystem::path& directory);

}  // namespace qhost::runs
