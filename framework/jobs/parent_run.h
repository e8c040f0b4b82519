/// jobs/parent_run.h: `qhost run FILE --continue RUN`: a new run, the child, that goes on from
/// a checkpoint of another one, its parent: more epochs, another learning rate or schedule, another
/// augmentation, another batch size at an epoch's edge.
///
/// The child begins with the parent's weights, optimizer state, position and order of images, and
/// with the parent's lines of metrics.jsonl. It is *exact* when an uninterrupted run of the child's
/// configuration would have come to the same bits: the steps that the parent made had the learning
/// rates that the child's schedule gives them, and nothing else differs that a step depends on.
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

/// The checkpoint that a child goes on from.
struct ParentRun {
  std::string given;          ///< --continue, absolute, links kept: runs/NAME/latest
  std::filesystem::path run;  ///< without links
  std::string which;          ///< --checkpoint; "": the newest sound one
  std::int64_t step = 0;      ///< of the checkpoint
  std::string sha256;         ///< of its state.safetensors
  /// Empty where `given` is `latest` and names the child by now: the parent was found in the
  /// child's own record.
  std::optional<runs::LoadedCheckpoint> checkpoint;
};

/// The parent that --continue `given` names, and its checkpoint: the newest sound one, or
/// `which`, "best" or a step. With `resumes`, `latest` may name the child that this very command
/// made before, since it has moved there from the parent: the child's own record counts. Throws
/// Error: configuration for a run that is being worked on or has no such checkpoint, storage for a
/// damaged one.
ParentRun open_parent(const std::string& given, const std::string& which,
                      const config::Experiment& experiment, bool resumes, Registry& registry,
                      std::vector<std::string>& complaints);

/// Loads the checkpoint where open_parent() did not. Throws Error (configuration) when it is
/// another one by now.
void load_checkpoint(ParentRun& parent);

/// Where the child begins, and what its result says of the parent.
struct Continuation {
  std::int64_t step = 0;  ///< the child's number of the parent's step
  std::vector<std::string>
      not_exact;  ///< why an uninterrupted run would differ; empty: it is exact
  std::vector<std::string> notes;
  nlohmann::json record;  ///< parent.json
};

/// Throws Error (configuration) with both values where the child differs in what cannot change
/// (network, quantizer, data set, seed, calibration, kind of optimizer), has no more steps than the
/// parent made, or changes the steps of an epoch within one. `identity` is the child's.
Continuation plan_continuation(const ParentRun& parent, const config::Experiment& child,
                               const runs::RunIdentity& identity, const data::Dataset& data,
                               bool allow_other_plugins, Registry& registry);

/// "going on from RUN at step 10 (epoch 2): exact, ...", or why it is not.
std::string to_text(const ParentRun& parent, const Continuation& plan);

/// parent.json: {run, given, which, step, epoch, sha256, exact, not_exact, changed: {KEY: {parent,
/// child}}}; null for a run that is no child.
nlohmann::json read_parent(const std::filesystem::path& child);
void write_parent(const std::filesystem::path& child, const nlohmann::json& record);

/// Copies into the child what stands before its first step: metrics.jsonl up to the checkpoint, and
/// the parent's best weights where `best_epoch` (from 0, -1: none) is theirs. Returns whether they
/// were. `child` is locked and has no checkpoint.
bool inherit(const ParentRun& parent, const runs::RunDirectory& child, std::int64_t best_epoch);

}  // namespace qhost::jobs
