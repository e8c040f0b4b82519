/// jobs/warnings.h: warnings before the first step of a run about valid settings that are seldom
/// intended.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/experiment.h"
#include "jobs/weight_source.h"
#include "report/summary.h"

namespace qhost::jobs {

/// Facts about a run that its configuration does not contain.
struct RunFacts {
  std::optional<std::int64_t> images;        ///< training images; empty without the data
  const report::Summary* summary = nullptr;  ///< of the quantized network
  bool calibrates = false;                   ///< observers or a bias correction look at images
  std::optional<WeightSource> source;        ///< the run of the weights of train.init_from
  /// Of weights that were published elsewhere: how their source normalizes its images.
  std::optional<PublishedNormalization> published;
  /// How this run does; empty without the data, and for whitened images.
  std::vector<double> mean, deviation;
};

/// Warnings at the keys that they are about, with both values:
///   config.schedule   milestones and warm-up that the run does not reach or never leaves, a step
///                     schedule without a step, a final rate above the optimizer's, train.max_steps
///                     before the schedule's end
///   config.doubtful   no epoch and no train.init_from, one step an epoch, more threads than cores,
///                     codes that take more bytes than float32, ranges from one image, weights of a
///                     quantized run, another normalization than the source's, layers that no epoch trains
std::vector<config::Diagnostic> warnings_of(const config::Experiment& experiment,
                                            const RunFacts& facts);

/// The warnings about the schedule.
void warn_of_schedule(const config::Experiment& experiment, std::optional<std::int64_t> images,
                      std::vector<config::Diagnostic>& warnings);

/// The warning's place is that of `key`; the place of `other` is shown too if the file gives it.
config::Diagnostic warning_at(const config::Experiment& experiment, const std::string& key,
                              const std::string& other, const std::string& message,
                              const std::string& help, const char* code);

}  // namespace qhost::jobs
