/// jobs/parent_run.h: `qhost run FILE --continue RUN`: a new run, the child, that continues from a
/// checkpoint of another run, its parent, with more epochs, another learning rate or schedule,
/// another augmentation, or another batch size from an epoch boundary on.
///
/// The child starts with the parent's weights, optimizer state, position and order of images, and
/// with the parent's lines of metrics.jsonl. It is *exact* if an uninterrupted run of the child's
/// configuration would have given the same bits: the parent's steps had the learning rates of the
/// child's schedule, and nothing else differs that a step depends on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/dataset.h"
#include "registry/registry.h"
#include "runs/checkpoint.h"
#include "runs/run_directory.h"
#include "runs/run_identity.h"

namespace qhost::jobs {

/// The parent and its checkpoint.
struct ParentRun {
  std::string given;          ///< --continue as an absolute path with links kept: runs/NAME/latest
  std::filesystem::path run;  ///< the same with links resolved
  std::string which;          ///< --checkpoint; "": the newest intact one
  std::int64_t step = 0;      ///< step of the checkpoint
  std::string sha256;         ///< SHA-256 of its state.safetensors
  /// Empty if `given` is `latest` and now names the child: the parent was found in the child's
  /// record.
  std::optional<runs::LoadedCheckpoint> checkpoint;
};

/// The parent that --continue `given` names, and its checkpoint: the newest intact one, or `which`:
/// "best" or a step. With `resumes`, `latest` may name a child that the same command made before
/// (which moved `latest` to the child): then the child's record names the parent. Throws Error:
/// configuration for a run in use or without such a checkpoint, storage for a damaged one.
ParentRun open_parent(const std::string& given, const std::string& which,
                      const config::Experiment& experiment, bool resumes, Registry& registry,
                      std::vector<std::string>& complaints);

/// Loads the checkpoint if open_parent() did not. Throws Error (configuration) if it has changed
/// since.
void load_checkpoint(ParentRun& parent);

/// The start of the child, and its record of the parent.
struct Continuation {
  std::int64_t step = 0;  ///< the parent's step as numbered by the child
  std::vector<std::string>
      not_exact;  ///< why an uninterrupted run would differ; empty: the child is exact
  std::vector<std::string> notes;
  nlohmann::json record;  ///< parent.json
};

/// Plans the child. Throws Error (configuration) with both values if the child differs in something
/// that cannot change (network, quantizer, data set, seed, calibration, kind of optimizer), has no
/// more steps than the parent made, or changes the steps per epoch within an epoch. `identity` is
/// the child's.
Continuation plan_continuation(const ParentRun& parent, const config::Experiment& child,
                               const runs::RunIdentity& identity, const data::Dataset& data,
                               bool allow_other_plugins, Registry& registry);

/// "going on from RUN at step 10 (epoch 2): exact, ...", or why it is not exact.
std::string to_text(const ParentRun& parent, const Continuation& plan);

/// The content of parent.json: {run, given, which, step, epoch, sha256, exact, not_exact, changed:
/// {KEY: {parent, child}}}; null for a run without a parent.
nlohmann::json read_parent(const std::filesystem::path& child);
void write_parent(const std::filesystem::path& child, const nlohmann::json& record);

/// Copies into the child what precedes its first step: metrics.jsonl up to the checkpoint, and the
/// parent's best weights if their epoch is `best_epoch` (from 0, -1: none). Returns true if they
/// were copied, or if there are none to copy. `child` is locked and has no checkpoint.
bool inherit(const ParentRun& parent, const runs::RunDirectory& child, std::int64_t best_epoch);

}  // namespace qhost::jobs
