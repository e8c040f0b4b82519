/// report/source_run.h: the run whose weights `train.init_from` names, for report/compare.h: the
/// float networks of three seeds are one configuration, and so is what was quantized from them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/experiment.h"
#include "config/load.h"
#include "report/compare.h"

namespace qhost::report {

struct FoundSource {
  std::optional<SourceRun> run;  ///< empty where the path has to count
  /// A sentence, where the path of this run, or of one that `run` goes back to, names something
  /// that should be a run and cannot be read; empty for weights that come from no run.
  std::string why_not;
};

/// Of the run in `directory`, which has this configuration. init_from.json tells which file was
/// read (`runs/NAME/latest` may name another run by now), else train.init_from itself does. Weights
/// that a step's number names count as a key, "file". Nothing for a run that began without weights.
/// Configurations are read as in report/compared_run.h.
FoundSource find_source(const std::filesystem::path& directory,
                        const config::Experiment& experiment, config::Catalog& catalog);

/// The run directory that `path` is, or lies in, at most as deep as a checkpoint's file; "" for
/// none.
std::filesystem::path run_around(std::filesystem::path path);

}  // namespace qhost::report
