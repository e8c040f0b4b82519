/// jobs/run_record.h: what a run writes into its directory besides checkpoints: what it was begun
/// from, and result.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/experiment.h"
#include "data/dataset.h"
#include "jobs/parent_run.h"
#include "model/model.h"
#include "runs/run_directory.h"
#include "runs/run_result.h"
#include "training/progress.h"
#include "training/trainer.h"

namespace qhost::jobs {

/// The object in the file; an empty one if the file is missing or damaged.
nlohmann::json read_json(const std::filesystem::path& file);
void write_json(const std::filesystem::path& file, const nlohmann::json& json);

/// Written in this order: a directory with resolved.toml is a run that can be resumed.
void record_beginning(const runs::RunDirectory& run, const nlohmann::json& here,
                      const nlohmann::json& identity,
                      const std::optional<Continuation>& continuation,
                      const config::Experiment& experiment);

/// `result` with what is known before the first step: network, sizes, data.
runs::RunResult begin_result(const config::Experiment& experiment, const Model& model,
                             const data::Dataset& data, const runs::RunDirectory& run,
                             runs::RunResult result);
/// Adds the run's origin to `result`.
void add_origin(const runs::RunDirectory& run, runs::RunResult& result);
/// Adds the final evaluation to `result`.
void add_metrics(training::Trainer& trainer, const data::Dataset& data,
                 training::Progress& progress, runs::RunResult& result);
/// Verifies the packed network on the test images, as `train.verify` says: `verified` is true, false,
/// or null if there is no packed form or it is off. Throws Interrupted.
void add_verification(const config::Experiment& experiment, Model& model, const data::Dataset& data,
                      const training::Trainer& trainer, training::Progress& progress,
                      runs::RunResult& result);
/// Writes result.json and moves `latest` here.
void write_result(const runs::RunDirectory& run, const runs::RunResult& result,
                  training::Progress& progress);
/// The result of a run that is over, with its current path: a folder of runs may be moved or
/// copied.
runs::RunResult kept_result(const runs::RunDirectory& run);

}  // namespace qhost::jobs
